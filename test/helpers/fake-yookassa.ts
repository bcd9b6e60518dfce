// The part of YooKassa's API that a notification is looked up in. It can also fail in the ways such a service does.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeYookassa {
  readonly url: string
  /** What was asked, and as which shop. */
  readonly requests: { path: string; authorization: string | undefined }[]
  /** By path, as in `payments/1`. */
  objects: Record<string, object>
  trouble: 'none' | '500' | '401' | '429' | 'cut' | 'garbage'
  close(): Promise<void>
}

export async function startYookassa(): Promise<FakeYookassa> {
  const server = createServer((req, res) => {
    const path = (req.url ?? '').replace(/^\/v3\//, '')
    fake.requests.push({ path, authorization: req.headers.authorization })
    const send = (status: number, body: object) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (fake.trouble === 'cut') return void req.socket.destroy()
    if (fake.trouble === 'garbage') return void res.writeHead(200).end('<html>Ведутся работы</html>')
    if (fake.trouble !== 'none') return void send(Number(fake.trouble), { type: 'error' })
    const found = fake.objects[path]
    send(found ? 200 : 404, found ?? { type: 'error', code: 'not_found' })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const fake: FakeYookassa = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3`,
    requests: [],
    objects: {},
    trouble: 'none',
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return fake
}
