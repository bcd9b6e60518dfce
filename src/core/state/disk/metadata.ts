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
  return {
    get: (name) => known.get(name) ?? disk?.metadata(name),
    set(name, value) {
      known.set(name, value)
      disk?.setMetadata(name, value)
    },
    participant: createParticipant({
      load(opened) {
        disk = opened
        for (const [name, value] of known) disk.setMetadata(name, value)
      },
      persist() {
        disk = undefined
      },
    }),
  }
}
