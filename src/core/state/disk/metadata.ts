// Small things that must outlive the process, by name. In memory alone where nothing may be written.
import type { StateDisk } from './state-disk.ts'

export interface Facts {
  get(name: string): string | undefined
  set(name: string, value: string): void
  /** From here on the disk is ours: what it knows and we do not is learnt, and what we know goes there. */
  useDisk(disk: StateDisk | undefined): void
}

export function createFacts(): Facts {
  const known = new Map<string, string>()
  let disk: StateDisk | undefined
  return {
    get: (name) => known.get(name) ?? disk?.fact(name),
    set(name, value) {
      known.set(name, value)
      disk?.setFact(name, value)
    },
    useDisk(opened) {
      disk = opened
      for (const [name, value] of known) disk?.setFact(name, value)
    },
  }
}
