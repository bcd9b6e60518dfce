// Whom a client is counted with where there is no room to count each alone: its network, then a larger one. Of an IPv4
// address /24 and /16, of an IPv6 /64 its /48 and /32: who can make up addresses has all of them in one of these.

export interface LimitedGroup {
  readonly who: string
  /** What all of them may do together, as a multiple of what one may. */
  readonly factor: number
}

const NETWORK_FACTOR = 4
const LARGE_FACTOR = 16

/** From the smallest group to the largest; none for a user, and for what is one for everybody. */
export function coarserOf(who: string): readonly LimitedGroup[] {
  // Anybody may have many sessions without a user.
  if (who.startsWith('session:')) return [{ who: 'sessions', factor: LARGE_FACTOR }]
  const networks = networksOf(who)
  if (!networks) return []
  const [network, large] = networks
  return [
    { who: `network:${network}`, factor: NETWORK_FACTOR },
    { who: `network:${large}`, factor: LARGE_FACTOR },
  ]
}

function networksOf(who: string): readonly [string, string] | undefined {
  const [, a, b, c] = /^address:(\d+)\.(\d+)\.(\d+)\.\d+$/.exec(who) ?? []
  if (a !== undefined) return [`${a}.${b}.${c}.0/24`, `${a}.${b}.0.0/16`]
  const [, d, e, f] = /^address:([0-9a-f]+):([0-9a-f]+):([0-9a-f]+):[0-9a-f]+::\/64$/.exec(who) ?? []
  if (d !== undefined) return [`${d}:${e}:${f}::/48`, `${d}:${e}::/32`]
  return undefined
}
