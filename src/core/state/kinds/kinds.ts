// The table of kinds. Another one is a file beside this one, and a line here.
import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { SECOND } from '../../../lib/time.ts'
import { type ExpiringSet, expiringSet, hasMembers } from './expiring-set.ts'
import { type FirstWriteWinsRegister, firstWriteWinsRegister } from './first-write-wins-register.ts'
import type { Entry, Kind } from './kind.ts'
import { type LwwRegister, lwwRegister } from './lww-register.ts'
import { type MaxRegister, maxRegister } from './max-register.ts'
import { type MaxRegisterMap, maxRegisterMap } from './max-register-map.ts'
import { type SlidingWindowLog, slidingWindowLog } from './sliding-window-log.ts'
import { isOfOneTime } from './timestamped.ts'

export type StateValue =
  | LwwRegister
  | FirstWriteWinsRegister
  | MaxRegister
  | MaxRegisterMap
  | SlidingWindowLog
  | ExpiringSet
export type KindName = StateValue['kind']
export type ValueOf<K extends KindName> = Extract<StateValue, { kind: K }>

/** A whole version of what is under a key of the state. */
export type VersionedEntry<V extends StateValue = StateValue> = Entry<V>

export const kinds: Readonly<Record<KindName, Kind<StateValue>>> = {
  'lww-register': lwwRegister,
  'first-write-wins-register': firstWriteWinsRegister,
  'max-register': maxRegister,
  'max-register-map': maxRegisterMap,
  'sliding-window-log': slidingWindowLog,
  'expiring-set': expiringSet,
}

const byStoredName = new Map(Object.values(kinds).map((kind) => [kind.storedAs, kind]))

/** The one version that two make. Both are of one kind: a key has one everywhere. */
export function mergeEntries(a: VersionedEntry, b: VersionedEntry): VersionedEntry {
  if (a.value.kind !== b.value.kind)
    throw new TypeError(`a ${a.value.kind} cannot be merged with a ${b.value.kind}`)
  return kinds[a.value.kind].merge(a, b)
}

/** Whether `b` tells nothing that `a` does not: a version that is read again, whose end is a few ms off each time. */
export function addsNothing(a: VersionedEntry, b: VersionedEntry): boolean {
  if (b.expiresAtMs - a.expiresAtMs >= SECOND) return false
  if ('timestamp' in a.value) return 'timestamp' in b.value && a.value.timestamp === b.value.timestamp
  if (a.value.kind !== 'expiring-set') return false
  return b.value.kind === 'expiring-set' && hasMembers(a.value, b.value)
}

/** A version as it is on disk. */
export function encodeStored(key: string, entry: VersionedEntry): { storedAs: string; bytes: Buffer } {
  const { storedAs, onDisk } = kinds[entry.value.kind]
  return { storedAs, bytes: onDisk.encode(entry, key) }
}

export function decodeStored(
  key: string,
  { storedAs, bytes, expiresAtMs }: { storedAs: string; bytes: Buffer; expiresAtMs: number },
): VersionedEntry | Corrupt {
  return byStoredName.get(storedAs)?.onDisk.decode(bytes, key, expiresAtMs) ?? corrupt
}

/** Whether the two are of one time and writer, and not the same: one of them is not what was written. */
export const isTwin = (a: StateValue, b: StateValue): boolean =>
  'timestamp' in a && 'timestamp' in b && isOfOneTime(a.timestamp, b.timestamp)
