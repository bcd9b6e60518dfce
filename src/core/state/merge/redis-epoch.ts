// What Redis turned out to be. Two keys of its own tell whether it kept its data: an epoch, made once, and a
// sequence that grows while we write, one for each process, because another's would hide that ours was lost.
//
//   the same epoch, and a sequence not behind ours   kept: it has everything
//   no epoch                                         empty: it is seeded with all that the standby knows
//   the same epoch, and a sequence behind ours       older: it is an older state of itself, and is seeded, too
//   another epoch                                    older: of a time before it was empty, or begun by another process
//
// Empty or older, a new epoch begins, so that every other process seeds it as well: Redis may have forgotten what
// only that process knows.
import { randomUUID } from 'node:crypto'
import { RedisUnavailable } from '../../errors.ts'
import type { Return } from '../../participant.ts'
import type { Metadata } from '../disk/metadata.ts'
import type { Incarnation, RedisStateStore } from '../redis-state-store.ts'

export interface RedisEpoch {
  /** The epoch of Redis that is known here. */
  current(): string | undefined
  /**
   * Rejects with RedisUnavailable when Redis is not in that epoch any more: then its last answers may be of an
   * empty one.
   */
  expectSame(epoch: string | undefined): Promise<void>
  /**
   * Decides what Redis is now. Where it has lost data, `lost` runs before the new epoch begins, so that what it
   * notes is safe: `isOlderSelf` when Redis is an older state of itself. Rejects with RedisUnavailable, and is run
   * again.
   */
  examine(lost: (returned: Return, isOlderSelf: boolean) => Promise<void>): Promise<Return>
  /** Something was written to Redis. */
  wrote(): void
  /** Bumps the sequence, if anything was written since. Rejects as `expectSame` does. */
  bumpSequence(): Promise<void>
}

/** `metadata` outlives the process: the epoch that was known, and how far we had come in it. */
export function createRedisEpoch({
  redis,
  metadata,
  foundEmpty = () => {},
}: {
  redis: RedisStateStore
  metadata: Pick<Metadata, 'get' | 'set'>
  /** Called when Redis holds nothing of the state. */
  foundEmpty?: () => void
}): RedisEpoch {
  let hasWritten = false

  const current = () => metadata.get('epoch')
  const known = (): Incarnation => ({ epoch: current(), sequence: sequenceOf(metadata.get('offset')) })

  /** Of this process and of those that come after it on its disk. */
  function ourName(): string {
    const name = metadata.get('process') ?? randomUUID()
    if (!metadata.get('process')) metadata.set('process', name)
    return name
  }

  /** An epoch that is missing, or damaged, does not say so. */
  async function isBare(): Promise<boolean> {
    const { cursor, keys } = await redis.scan('0')
    return cursor === '0' && keys.length === 0
  }

  async function examine(lost: Parameters<RedisEpoch['examine']>[0]): Promise<Return> {
    const by = ourName()
    const before = known()
    const found = await redis.incarnation(by)
    if (!found.epoch && (await isBare())) foundEmpty()
    const returned = compare(found, before)
    const isOlderSelf = returned === 'older' && found.epoch === before.epoch
    if (returned === 'empty' || returned === 'older') await lost(returned, isOlderSelf)
    const to = isOlderSelf || !found.epoch ? randomUUID() : found.epoch
    const begun = await redis.beginEpoch({ from: found.epoch, to, by, sequence: before.sequence + 1 })
    // Another process was faster, with what it knows: ours has still to be put there.
    if (begun.epoch !== to) return worst(returned, await examine(lost))
    metadata.set('epoch', to)
    metadata.set('offset', String(begun.sequence))
    return returned
  }

  return {
    current,
    examine,
    async expectSame(epoch) {
      const { sequence } = known()
      const found = await redis.incarnation(ourName())
      // It may have been seeded since it gave its answer.
      if (current() !== epoch) throw new RedisUnavailable('slow', 'Redis was seeded since it answered')
      if (compare(found, { epoch, sequence }) !== 'kept') throw hasLost()
    },
    wrote() {
      hasWritten = true
    },
    async bumpSequence() {
      if (!hasWritten) return
      hasWritten = false
      const before = current()
      const { epoch, sequence } = await redis.bumpSequence(ourName()).catch((error) => {
        hasWritten = true // else the sequence known here stays behind, and an older Redis would pass for this one
        throw error
      })
      if (current() !== before) return // it was seeded after it gave this answer
      if (epoch !== before || sequence <= known().sequence) throw hasLost()
      metadata.set('offset', String(sequence))
    },
  }
}

function compare(found: Incarnation, known: Incarnation): Return {
  if (!known.epoch) return 'first'
  if (!found.epoch) return 'empty'
  return found.epoch === known.epoch && found.sequence >= known.sequence ? 'kept' : 'older'
}

/** Run again after it was cut off, a merge sees what its first half has done: the worse finding is the true one. */
export function worst(a: Return, b: Return): Return {
  const order: Return[] = ['kept', 'first', 'older', 'empty']
  return order.indexOf(a) > order.indexOf(b) ? a : b
}

/** Of a damaged file it may be anything: then what Redis has counts. */
function sequenceOf(text: string | undefined): number {
  const sequence = Number(text ?? 0)
  return Number.isSafeInteger(sequence) ? sequence : 0
}

const hasLost = () => new RedisUnavailable('refused', 'Redis has lost what it held')
