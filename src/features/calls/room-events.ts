// What processes tell one another about a room: who is a member of its channel, and what is published there.
import { randomBytes } from 'node:crypto'
import type { BusMessage, Json, Member } from '../../core/bus/bus.ts'
import type { ServerMessage } from './protocol.ts'

/** What is published in a room. `conn` tells the seats of one peer apart: a later one is greater. */
export type RoomEvent =
  | ({ readonly type: 'here' } & Occupant)
  | { readonly type: 'left'; readonly id: string; readonly conn: string }
  | ({ readonly type: 'said'; readonly from: string; readonly data: Json } & Named)

/** What is published to a single peer. */
export type PeerEvent =
  | { readonly type: 'signal'; readonly from: string; readonly n: number; readonly data: Json }
  /** The peer has this seat now; those before it end. */
  | { readonly type: 'taken'; readonly conn: string }

/** As others see somebody. */
export interface Named {
  readonly name: string
  /** Not logged in, and so free to take the name of somebody who is. */
  readonly guest: boolean
}

export interface Occupant extends Named {
  readonly id: string
  readonly conn: string
}

export const roomChannel = (room: string) => `room:${room}`
export const peerChannel = (id: string) => `peer:${id}`
export const memberOf = ({ id, conn, name, guest }: Occupant): Member => ({
  id: `${id}~${conn}`,
  info: { name, guest },
})

/** A process of the release before says nothing of it: then nobody passes for a user. */
export const isGuest = ({ guest }: { readonly guest?: unknown }) => guest !== false

export function occupantOf({ id: memberId, info }: Member): Occupant {
  const [id = '', conn = ''] = memberId.split('~')
  const given = (info ?? {}) as { name?: Json; guest?: Json }
  return { id, conn, name: String(given.name ?? ''), guest: isGuest(given) }
}

/** For a seat that is taken now, after those `before`, by whichever clocks they were taken. */
export function connAfter(before: readonly string[], nowMs: number): string {
  const sinceMs = Math.max(nowMs, ...before.map((conn) => sinceOf(conn) + 1))
  return `${sinceMs}-${randomBytes(6).toString('base64url')}`
}

/** When that seat was taken, ms. */
export const sinceOf = (conn: string) => Number.parseInt(conn, 10)

const said = new WeakMap<BusMessage, ServerMessage>()

/** The same object for every seat that gets it, so that it becomes text once. */
export function saidOf(
  message: BusMessage,
  { from, name, data, ...rest }: RoomEvent & { type: 'said' },
): ServerMessage {
  const { atMs, epoch, offset } = message
  const known = said.get(message)
  const made = known ?? { type: 'said', from, name, guest: isGuest(rest), data, atMs, epoch, offset }
  if (!known) said.set(message, made)
  return made
}
