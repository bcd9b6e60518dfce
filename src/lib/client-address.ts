// What an address says about the client: one client, or a network that hands out addresses freely, or a proxy.
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface ClientAddress {
  /** An IPv4 address, or the /64 of an IPv6 one: a client that has one of its addresses has them all. */
  readonly text: string
  /** Not from the internet: possibly that of a proxy which does not say for whom it asks. */
  readonly isPrivate: boolean
}

const privateRanges = new BlockList()
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  privateRanges.addSubnet(network, prefix, 'ipv4')
privateRanges.addAddress('::1', 'ipv6')
privateRanges.addSubnet('fc00::', 7, 'ipv6')
privateRanges.addSubnet('fe80::', 10, 'ipv6')

/** Undefined for what is no address. A port, brackets and a zone are left out; IPv4 inside IPv6 is IPv4. */
export function clientAddress(given: string | undefined): ClientAddress | undefined {
  const address = bare(given ?? '')
  if (isIPv4(address)) return { text: address, isPrivate: privateRanges.check(address, 'ipv4') }
  if (!isIPv6(address)) return undefined
  const groups = groupsOf(address)
  const mapped = mappedIPv4(groups)
  if (mapped) return clientAddress(mapped)
  const network = groups.slice(0, 4).map((group) => group.toString(16))
  return { text: `${network.join(':')}::/64`, isPrivate: privateRanges.check(address, 'ipv6') }
}

/** Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function bare(given: string): string {
  const trimmed = given.trim()
  const [, bracketed, withPort] = /^(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)$/.exec(trimmed) ?? []
  return (bracketed ?? withPort ?? trimmed).replace(/%.*$/s, '')
}

function groupsOf(address: string): number[] {
  // The URL parser writes every address in one form: lower case, one `::` at most, no dotted tail.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = [], tail = []] = canonical.split('::').map((half) => half.split(':').filter(Boolean))
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16))
}

function mappedIPv4(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  return isMapped ? [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.') : undefined
}
