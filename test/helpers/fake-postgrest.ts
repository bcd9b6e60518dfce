// The part of PostgREST that Supabase's REST interface offers and that is used here: one table, selected columns, an
// order, pages by Range. It can also fail in each of the ways such a service does.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Trouble = 'none' | '500' | '401' | 'hang' | 'garbage' | 'cut' | 'redirect'

export interface FakePostgrest {
  readonly url: string
  readonly key: string
  readonly requests: { path: string; range: string | undefined }[]
  rows: Record<string, unknown>[]
  trouble: Trouble
  /** What a server gives at most, however much it is asked for. */
  mostRows: number
  close(): Promise<void>
}

export async function startPostgrest(rows: Record<string, unknown>[]): Promise<FakePostgrest> {
  const key = 'sentinel-anon-key'
  const server = createServer((req, res) => answer(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const fake: FakePostgrest = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key,
    requests: [],
    rows,
    trouble: 'none',
    mostRows: 1_000,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }

  function answer(req: IncomingMessage, res: ServerResponse): unknown {
    const url = new URL(req.url ?? '/', fake.url)
    fake.requests.push({ path: url.pathname, range: req.headers.range })
    const send = (status: number, body: unknown, headers = {}) =>
      res
        .writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
        .end(JSON.stringify(body))
    if (fake.trouble === 'hang') return undefined
    if (fake.trouble === 'redirect') return res.writeHead(302, { location: `${fake.url}/elsewhere` }).end()
    if (fake.trouble === 'garbage') return res.writeHead(200).end('<html>Project is paused</html>')
    if (fake.trouble === 'cut') return res.writeHead(200, { 'content-length': 100 }).end('[{"code":"DE"')
    if (fake.trouble === '500') return send(500, { message: 'out of order' })
    const isLetIn = req.headers.apikey === key && req.headers.authorization === `Bearer ${key}`
    if (fake.trouble === '401' || !isLetIn) return send(401, { message: 'Invalid API key' })
    if (url.pathname !== '/rest/v1/countries') return send(404, { code: 'PGRST205' })

    const columns = url.searchParams.get('select')?.split(',') ?? []
    const order = url.searchParams.get('order') ?? ''
    const [from = 0, to = Infinity] = (req.headers.range ?? '').split('-').filter(Boolean).map(Number)
    const sorted = fake.rows.toSorted((a, b) => (String(a[order]) < String(b[order]) ? -1 : 1))
    const page = sorted.slice(from, Math.min(to + 1, from + fake.mostRows))
    const given = page.map((row) => Object.fromEntries(columns.map((name) => [name, row[name]])))
    const range = page.length > 0 ? `${from}-${from + page.length - 1}` : '*'
    return send(200, given, { 'content-range': `${range}/*` })
  }

  return fake
}
