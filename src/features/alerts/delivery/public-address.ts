// Which addresses are on the public internet: those a user may make this server talk to. Everything else is a place
// that only we can reach: ourselves, our network, and the metadata of the machine we run on.
import { BlockList, isIP } from 'node:net'

// iana.org/assignments/iana-ipv4-special-registry, with multicast and what is reserved for ever.
const NOT_PUBLIC_V4 = [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24',
  '192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24', '192.168.0.0/16', '192.175.48.0/24',
  '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
  '168.63.129.16/32', // Azure's own services, seen from inside its machines
] // biome-ignore format: a table
const PUBLIC_V6 = '2000::/3' // iana.org/assignments/ipv6-address-space: nothing else is handed out
// iana.org/assignments/iana-ipv6-special-registry: protocols, Teredo, documentation, 6to4.
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20']
// An IPv4 address in IPv6 clothes: mapped, or behind NAT64 (RFC 6052). It is what its last 32 bits say.
const DRESSED_V4 = ['::ffff:0:0/96', '64:ff9b::/96']

const notPublicV4 = listOf(NOT_PUBLIC_V4, 'ipv4')
const publicV6 = listOf([PUBLIC_V6], 'ipv6')
const notPublicV6 = listOf(NOT_PUBLIC_V6, 'ipv6')
const dressedV4 = listOf(DRESSED_V4, 'ipv6')

/** Whether the IP address, v4 or v6, is public; false for what is no address, and for one with a zone. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !notPublicV4.check(address, 'ipv4')
  if (isIP(address) !== 6 || address.includes('%')) return false
  if (dressedV4.check(address, 'ipv6')) return isPublicAddress(lastBitsOf(address))
  return publicV6.check(address, 'ipv6') && !notPublicV6.check(address, 'ipv6')
}

/** The last 32 bits as an IPv4 address. The URL parser writes every IPv6 address in one way (RFC 5952). */
function lastBitsOf(address: string): string {
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':')
  const [high, low] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16))
  return [high ?? 0, low ?? 0].flatMap((group) => [group >> 8, group & 0xff]).join('.')
}

function listOf(networks: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    list.addSubnet(address, Number(prefix), family)
  }
  return list
}
