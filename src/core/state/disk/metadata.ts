// Small things that must outlive the process, by name. In memory alone where nothing may be written.
import { createParticipant, type Participant } from '../../participant.ts'
import type { StateDisk } from './state-disk.ts'

export interface Metadata {
  get(name: string): string | undefined
  set(name: string, value: string): void
  readonly participant: Participant
}

export function createMetadata(): Metadata {
  const known = new Map<string, string>()
  let disk: StateDisk | undefined
  let wasOurs = false // and another container's in between, which knows more than we do

  function read(name: string): string | undefined {
    const value = known.get(name) ?? disk?.metadata(name)
    if (value !== undefined) known.set(name, value) // it is needed when the disk is not ours any more
    return value
  }

  return {
    get: read,
    set(name, value) {
      known.set(name, value)
      disk?.setMetadata(name, value)
    },
    participant: createParticipant({
      load(opened) {
        disk = opened
        const before = [...known]
        if (wasOurs) known.clear()
        for (const [name, value] of before)
          if (!wasOurs || disk.metadata(name) === undefined) disk.setMetadata(name, value)
        wasOurs = true
      },
      persist() {
        disk = undefined
      },
    }),
  }
}
