// CoinGecko for a container: the tests' fake, which listens on this machine, behind TLS on the address of Docker's
// bridge. The app takes prices from http:// on its own machine only, and the container has one of its own.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { startFakeCoinGecko } from '../../test/helpers/fake-coingecko.ts'

const CA_IN_CONTAINER = '/soak-ca.pem'
/** As with a key: the clears and the restarts of a soak ask for more than the ten calls a minute without one. */
export const MARKET_CALLS_PER_MINUTE = 60

export interface Market {
  /** For the container. */
  readonly env: Record<string, string>
  /** To be mounted: [here, there]. */
  readonly files: [string, string][]
  /** When each call came. */
  arrivals(): number[]
  close(): Promise<void>
}

export async function startMarket(): Promise<Market> {
  const fake = await startFakeCoinGecko()
  const address = bridgeAddress()
  const folder = mkdtempSync(join(tmpdir(), 'samovar-soak-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=soak', '-addext', `subjectAltName=IP:${address}`]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, '-keyout', key, '-out', cert, '-days', '2', ...subject],
    { stdio: 'ignore' },
  )
  const { port: fakePort } = new URL(fake.url)
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    const behind = connect(Number(fakePort), '127.0.0.1')
    // A container that is killed resets what it had open.
    socket.on('error', () => behind.destroy())
    behind.on('error', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
  server.listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    env: {
      COINGECKO_URL: `https://${address}:${port}/api/v3`,
      COINGECKO_CALLS_PER_MINUTE: String(MARKET_CALLS_PER_MINUTE),
      NODE_EXTRA_CA_CERTS: CA_IN_CONTAINER,
    },
    files: [[cert, CA_IN_CONTAINER]],
    arrivals: () => fake.calls.map(({ atMs }) => atMs),
    async close() {
      server.close()
      await fake.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The address of this machine by which containers know it. */
function bridgeAddress(): string {
  const format = '{{(index .IPAM.Config 0).Gateway}}'
  const words = ['network', 'inspect', 'bridge', '--format', format]
  return execFileSync('docker', words, { encoding: 'utf8' }).trim()
}
