// Which names and addresses are this machine, in every way in which people write them.

const NAMES =
  /^(localhost|localhost\.localdomain|localhost[46]|ip6-(localhost|loopback)|(.+\.)?localhost)\.?$/i

/** What to connect to for a host that is this machine, or undefined for any other host. */
export function thisMachine(host: string): string | undefined {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (NAMES.test(bare)) return /6/.test(bare) && !/\./.test(bare) ? '::1' : 'localhost'
  const address = canonical(bare)
  if (address === undefined) return undefined
  // "Any address" of a server: a client reaches this machine by it.
  if (address === '0.0.0.0') return '127.0.0.1'
  if (address === '::' || address === '::1') return '::1'
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  const dotted = mapped ? dottedOf(mapped[1] ?? '', mapped[2] ?? '') : address
  if (dotted === '0.0.0.0') return '127.0.0.1'
  return /^127\.\d+\.\d+\.\d+$/.test(dotted) ? dotted : undefined
}

export const isThisMachine = (host: string) => thisMachine(host) !== undefined

/** As browsers write it: 127.1, 0x7f.1 and 2130706433 are 127.0.0.1. Undefined for what is no address. */
function canonical(host: string): string | undefined {
  const inUrl = host.includes(':') ? `http://[${host}]` : `http://${host}`
  if (!/^[0-9a-fx.:]+$/i.test(host) || !URL.canParse(inUrl)) return undefined
  const { hostname } = new URL(inUrl)
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  return /^[\d.]+$/.test(address) || address.includes(':') ? address : undefined
}

function dottedOf(high: string, low: string): string {
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [a >> 8, a & 255, b >> 8, b & 255].join('.')
}
