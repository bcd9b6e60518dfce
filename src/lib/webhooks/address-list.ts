// Lists of addresses and networks, as in 185.71.76.0/27 or 2a02:5180::/32: who may send from where.
import { BlockList, isIP } from 'node:net'

const MAPPED = /^::ffff:(?=\d+\.)/i

export interface AddressList {
  has(address: string | undefined): boolean
}

/** The list; or the first of its entries, by number, that is none. */
export function addressList(entries: readonly string[]): AddressList | { readonly wrong: number } {
  const list = new BlockList()
  for (const [i, entry] of entries.entries()) if (!add(list, entry)) return { wrong: i + 1 }
  return {
    has(address = '') {
      const plain = address.replace(MAPPED, '')
      const version = isIP(plain)
      return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

function add(list: BlockList, entry: string): boolean {
  const [address = '', prefix, ...rest] = entry.split('/')
  const version = isIP(address)
  const bits = version === 4 ? 32 : 128
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  if (version === 0 || rest.length > 0 || length < 0 || length > bits || address.includes('%')) return false
  list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6')
  return true
}

/** An address that no sender on the Internet has: a proxy's that does not say for whom it asks, most likely. */
export function isPrivateAddress(address: string | undefined): boolean {
  return PRIVATE.has(address)
}

const PRIVATE = addressList([
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.0/8', '169.254.0.0/16', '100.64.0.0/10'],
  ...['::1', 'fc00::/7', 'fe80::/10'],
]) as AddressList
