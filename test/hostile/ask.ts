// One request over a connection of its own, as somebody new would send it: nothing that was open before helps.
import { request } from 'node:http'

export interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  /** By the wall clock: the question is given up, and asked again. */
  readonly giveUpMs?: number
}

export interface Answer {
  /** 0 where none came. */
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: string
}

/** Never rejects. */
export function ask(url: string, { method = 'GET', headers = {}, body, giveUpMs = 30_000 }: Asked = {}) {
  return new Promise<Answer>((resolve) => {
    const none = { status: 0, headers: {}, body: '' }
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const req = request(url, { method, agent: false, headers: { ...type, ...headers } }, (res) => {
      const parts: Buffer[] = []
      res.on('data', (part: Buffer) => parts.push(part))
      res.on('error', () => {})
      res.on('end', () =>
        settle({ status: res.statusCode ?? 0, headers: res.headers, body: `${Buffer.concat(parts)}` }),
      )
      res.on('close', () => settle(none))
    })
    const timer = setTimeout(() => settle(none), giveUpMs)
    req.on('error', () => settle(none))
    req.end(body)
    function settle(answer: Answer): void {
      clearTimeout(timer)
      resolve(answer)
      req.destroy()
    }
  })
}
