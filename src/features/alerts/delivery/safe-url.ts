// Addresses that users name for us to call, made safe (OWASP, server-side request forgery): https only, a public
// host, and the address that is connected to is the one that was checked, so that a name which changes its mind in
// between gains nothing.
import { Resolver } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { SECOND } from '../../../lib/time.ts'
import { isPublicAddress } from './public-address.ts'

const MOST_LENGTH = 2_000
const ANSWER_MS = 2 * SECOND // of a name server
// Names that public DNS does not know, or that mean the machine itself (RFC 6761, 6762, 8375; ICANN's .internal).
const LOCAL_NAME =
  /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|home\.arpa|test|invalid|onion)$/

/** The parsed URL, or in one sentence why it is not called. What its name stands for is checked when it is called. */
export function parseSafeUrl(text: string): URL | string {
  if (text.length > MOST_LENGTH) return `may have at most ${MOST_LENGTH} characters`
  if (!URL.canParse(text)) return 'must be a URL'
  // The parser turns each way to write an IPv4 address (decimal, octal, short) into the usual one.
  const url = new URL(text)
  if (url.protocol !== 'https:') return 'must begin with https://'
  if (url.username !== '' || url.password !== '') return 'may not hold a name or a password'
  if (url.port === '0') return 'must have a port that exists'
  const host = hostOf(url)
  if (isIP(host)) return isPublicAddress(host) ? url : 'must be a public address'
  const name = host.replace(/\.$/, '')
  if (LOCAL_NAME.test(name) || !name.includes('.')) return 'must be a public name'
  return url
}

/** Without the brackets of IPv6. */
export const hostOf = ({ hostname }: URL) => hostname.replace(/^\[(.*)\]$/, '$1')

/** A name has an address that is not public: nobody connects to it. */
export class UnsafeAddress extends Error {}

/** All addresses of a name, as DNS tells them now; given up when the signal aborts. */
export type Resolve = (
  name: string,
  signal: AbortSignal,
) => Promise<readonly { address: string; family: number }[]>

/**
 * Asks the machine's name servers by itself. The system's own lookup keeps one of libuv's few threads for as long as a
 * name server is silent, which the owner of a name decides, and every other lookup of this process waits behind it.
 */
export function createResolve(servers?: readonly string[]): Resolve {
  return async function resolve(name, signal) {
    const resolver = new Resolver({ timeout: ANSWER_MS, tries: 1 })
    if (servers) resolver.setServers(servers)
    const cancel = () => resolver.cancel()
    signal.addEventListener('abort', cancel)
    try {
      const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
      if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason
      return [...found(v4, 4), ...found(v6, 6)]
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }
}

const found = (result: PromiseSettledResult<string[]>, family: number) =>
  result.status === 'fulfilled' ? result.value.map((address) => ({ address, family })) : []

/**
 * For a socket's `lookup`: it connects to what this one has checked. One address that is not public spoils all of
 * them.
 */
export function createSafeLookup(
  resolve: (name: string) => ReturnType<Resolve>,
  isAllowed: (address: string) => boolean = isPublicAddress,
): LookupFunction {
  return function safeLookup(name, { all }, done) {
    resolve(name).then(
      (found) => {
        const [first] = found
        if (!first || !found.every(({ address }) => isAllowed(address))) {
          return done(new UnsafeAddress(), '', 0)
        }
        if (all) return done(null, [...found])
        done(null, first.address, first.family)
      },
      (error) => done(error, '', 0),
    )
  }
}
