// Somebody with a browser's cookie jar and no browser: keeps cookies by name, follows no redirect by itself.
import { randomInt } from 'node:crypto'
import type { TestApp } from './app.ts'

export interface Visitor {
  readonly cookies: ReadonlyMap<string, string>
  /** The last Set-Cookie of each name, attributes and all. */
  readonly setCookies: ReadonlyMap<string, string>
  get(path: string, headers?: Record<string, string>): Promise<Response>
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  delete(path: string): Promise<Response>
  /** Whoever the app says is asking. */
  userId(): Promise<string | undefined>
}

/** With `https` as a proxy in front of the app would have it; from an address of its own, as visitors come. */
export function visit(app: Pick<TestApp, 'get'>, { https = false } = {}): Visitor {
  const address = `198.51.${randomInt(256)}.${randomInt(256)}`
  const cookies = new Map<string, string>()
  const setCookies = new Map<string, string>()
  async function send(
    path: string,
    init: RequestInit & { headers: Record<string, string> },
  ): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const url = path.startsWith('http') ? path.slice(new URL(path).origin.length) : path
    const headers = {
      'x-forwarded-for': address,
      ...(https && { 'x-forwarded-proto': 'https' }),
      ...(cookie && { cookie }),
      ...init.headers,
    }
    const response = await app.get(url, { redirect: 'manual', ...init, headers })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      setCookies.set(name, line)
      if (/Expires=Thu, 01 Jan 1970/.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    return response
  }
  return {
    cookies,
    setCookies,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, body, headers = {}) =>
      send(path, {
        method: 'POST',
        ...(body !== undefined && { body: JSON.stringify(body) }),
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      }),
    delete: (path) => send(path, { method: 'DELETE', headers: {} }),
    async userId() {
      const response = await send('/api/me', { headers: {} })
      return response.ok ? ((await response.json()) as { user: { id: string } }).user.id : undefined
    },
  }
}
