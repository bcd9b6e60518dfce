// What the state role has in every variant: the standby, what is on disk of it, and reports of outages.
import { MINUTE } from '../../lib/time.ts'
import { createDamageLog } from '../damage-log.ts'
import { createOutages } from '../outages.ts'
import type { Participant } from '../participant.ts'
import { createAbsence } from './absence/absence.ts'
import { createWholeCopy } from './absence/whole-copy.ts'
import { createState } from './create-state.ts'
import { committing, createDiskCopy, gated } from './disk/disk-copy.ts'
import { createMetadata } from './disk/metadata.ts'
import { openStateFiles, type StateFiles } from './disk/state-files.ts'
import { createHybridClock } from './kinds/hybrid-clock.ts'
import { createCoarseCounts } from './limits/coarse-counts.ts'
import { createStandby } from './standby.ts'
import type { StateRoleOptions } from './state-role.ts'
import type { StateStore } from './state-store.ts'

export type StateMemory = ReturnType<typeof openStateMemory>

export function openStateMemory(options: StateRoleOptions) {
  const { kindOf, memoryBudgetBytes, dataLock, log } = options
  const hybridClock = createHybridClock()
  const damage = createDamageLog(log)
  const metadata = createMetadata()
  for (const [name, value] of Object.entries(options.facts ?? {})) metadata.set(name, value)
  const outages = createOutages(damage)
  const absence = createAbsence(options)
  const whole = createWholeCopy({ ...options, absence })
  const copy = createDiskCopy(() => standby, whole.saved)
  absence.onComplete(copy.flush)
  const listeners: ((key: string) => void)[] = [copy.changed]
  const standby = createStandby({
    budgetBytes: memoryBudgetBytes,
    hybridClock,
    absence,
    changed(key) {
      for (const listener of listeners) listener(key)
    },
    twin: (key) => foundTwin(key),
  })
  const coarse = createCoarseCounts(
    onceAMinute((limit) =>
      log.warn(
        { limit },
        'limits: no room for more clients, so new ones are counted together for now; ' +
          'a higher MEMORY_BUDGET_MB tells more of them apart',
      ),
    ),
  )
  let files: StateFiles | undefined
  let foundTwin = (key: string) => damage.note('twin', key)

  return {
    standby,
    absence,
    whole,
    metadata,
    outages,
    damage,
    /** Commits the copy as it is now. */
    flush: copy.flush,
    /** Calls back with each key that changes in the standby. */
    onChange(listener: (key: string) => void) {
      listeners.push(listener)
    },
    /** Calls back with each key of which Redis and the disk have different values of one time. */
    onTwin(listener: (key: string) => void) {
      foundTwin = listener
    },
    /** The store, whose answers wait until what they changed is on disk; and the state over it, for features. */
    over(given: StateStore) {
      const store = committing(given, copy.committed)
      const forFeatures = gated(store, dataLock.changes)
      const state = createState({
        store: forFeatures,
        kindOf,
        hybridClock,
        known: standby.keys,
        placeOf: standby.placeOf,
        coarse,
      })
      return { store, state }
    },
    participants: [metadata.participant, outages.participant, whole.participant, copy.participant],
    openFiles(participant: Participant) {
      files = openStateFiles({ ...options, standby, participant, whole, damage })
    },
    /** How many versions on disk could not be read: acknowledged, and lost. */
    unreadable: () => files?.unreadable() ?? 0,
    close() {
      absence.close()
      copy.close()
      files?.close()
    },
  }
}

/** The policy alone: the rest of the key may name a user. */
function onceAMinute(tell: (limit: string) => void) {
  let toldAtMs = Number.NEGATIVE_INFINITY
  return (key: string) => {
    if (performance.now() - toldAtMs < MINUTE) return
    toldAtMs = performance.now()
    tell(key.split(':')[1] ?? '')
  }
}
