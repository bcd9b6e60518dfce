// How much each client holds of one budget: whole numbers, added and taken away.
import type { Budget } from './budgets.ts'
import type { Client } from './clients.ts'

/** Whose share has no room: the client's, or that of all. */
export type Shortage = 'client' | 'all'

export interface Shares {
  /** Where there is no room for so much more. */
  shortageFor(client: Client, amount: number): Shortage | undefined
  /** A negative amount gives back. */
  add(client: Client, amount: number): void
  /** What the client's whole network holds. */
  heldBy(client: Client): number
}

export function createShares({ inAll, perClient, perNetwork }: Budget): Shares {
  const held = new Map<string, number>() // of addresses and of networks, none without anything
  let all = 0

  const heldAt = (name: string) => held.get(name) ?? 0

  function addAt(name: string, amount: number): void {
    const after = heldAt(name) + amount
    if (after === 0) held.delete(name)
    else held.set(name, after)
  }

  return {
    shortageFor(client, amount) {
      // A private address may be a proxy's that stands for everybody: one of several never has all.
      const most = client.isPrivate ? inAll / 2 : perClient
      if (heldAt(client.address) + amount > most) return 'client'
      if (client.network !== undefined && heldAt(client.network) + amount > perNetwork) return 'client'
      return all + amount > inAll ? 'all' : undefined
    },
    add(client, amount) {
      all += amount
      addAt(client.address, amount)
      if (client.network !== undefined) addAt(client.network, amount)
    },
    heldBy: (client) => heldAt(client.network ?? client.address),
  }
}
