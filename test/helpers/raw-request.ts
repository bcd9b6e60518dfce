// A request as bytes over a connection of its own, for what fetch refuses to send.
import { request } from 'node:http'
import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 when the connection was closed without an answer, -1 when neither came. */
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

export interface RawRequest {
  readonly bytes: Buffer
  /** It is not whole: nothing follows, and the sender hangs up. */
  readonly isCut: boolean
}

/** Sends it over a connection of its own, and returns the last answer that is not of the kind 100. */
export function sendRaw(port: number, { bytes, isCut }: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    const socket = connect(port, '127.0.0.1')
    const settle = (isLate: boolean) => {
      const text = Buffer.concat(parts).toString('latin1')
      resolve(isLate && text === '' ? { status: -1, headers: new Map(), body: '' } : parsed(text))
      socket.destroy()
    }
    socket.setTimeout(5_000, () => settle(true))
    socket.on('data', (part) => parts.push(part))
    socket.on('error', () => {}) // hung up on while we still wrote: what came before that counts
    socket.on('close', () => settle(false))
    socket.write(bytes)
    if (isCut) socket.end()
  })
}

function parsed(text: string): RawAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1] ?? 0)
  if (status >= 100 && status < 200 && rest.length > 0) return parsed(rest.join('\r\n\r\n'))
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const body = rest.join('\r\n\r\n')
  const isChunked = headers.get('transfer-encoding') === 'chunked'
  return { status, headers, body: isChunked ? unchunked(body) : body }
}

function unchunked(text: string): string {
  const end = text.indexOf('\r\n')
  const length = Number.parseInt(text.slice(0, end), 16)
  if (end < 0 || !(length > 0)) return ''
  return text.slice(end + 2, end + 2 + length) + unchunked(text.slice(end + 4 + length))
}

/** The body as it was sent: fetch inflates it. */
export function rawBody({ url }: { readonly url: string }, target: string, accepted: string) {
  return new Promise<{ headers: Map<string, string>; body: Buffer }>((resolve, reject) => {
    const asked = request(`${url}${target}`, { headers: { 'accept-encoding': accepted } }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part) => parts.push(part))
      response.on('end', () =>
        resolve({
          headers: new Map(Object.entries(response.headers) as [string, string][]),
          body: Buffer.concat(parts),
        }),
      )
    })
    asked.on('error', reject)
    asked.end()
  })
}
