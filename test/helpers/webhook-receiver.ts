// Somebody's server that takes webhooks over https, with a certificate of its own, and says what came.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const RECEIVER_NAME = 'hooks.example.com'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface WebhookReceiver {
  readonly port: number
  readonly url: string
  /** Its certificate, to be believed. */
  readonly ca: string
  received: Received[]
  /** What it answers; `hangs` never does. */
  status: number | 'hangs'
  close(): Promise<void>
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const dir = mkdtempSync(join(tmpdir(), 'samovar-receiver-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const subject = ['-subj', `/CN=${RECEIVER_NAME}`, '-addext', `subjectAltName=DNS:${RECEIVER_NAME}`]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, '-keyout', key, '-out', cert, '-days', '2', ...subject],
    {
      stdio: 'ignore',
    },
  )
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, async (req, res) => {
    let body = ''
    for await (const part of req) body += part
    receiver.received.push({ headers: req.headers, body })
    if (receiver.status === 'hangs') return
    res.writeHead(receiver.status, { location: 'https://127.0.0.1/' }).end()
  })
  const ca = readFileSync(cert, 'utf8')
  rmSync(dir, { recursive: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const receiver: WebhookReceiver = {
    port,
    url: `https://${RECEIVER_NAME}:${port}/alerts`,
    ca,
    received: [],
    status: 204,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return receiver
}
