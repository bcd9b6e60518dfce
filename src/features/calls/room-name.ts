// The name of a room says what kind of room it is, so that nothing is stored before the first peer enters.
import { randomBytes } from 'node:crypto'

export type RoomKind = 'pair' | 'group'

const CAPACITY: Readonly<Record<RoomKind, number>> = { pair: 2, group: 8 } // in a mesh everybody sends to everybody
const NAME = /^(pair|group)-[\w-]{8,64}$/

export const isRoomName = (name: string) => NAME.test(name)

/** One that cannot be guessed. */
export const makeRoomName = (kind: RoomKind) => `${kind}-${randomBytes(16).toString('base64url')}`

export const capacityOf = (name: string) => CAPACITY[name.startsWith('pair-') ? 'pair' : 'group']
