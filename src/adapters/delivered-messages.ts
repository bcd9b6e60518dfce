// What socket.io's adapter has delivered in this process, for clients that come back to it.
import type { BusMessage, Position } from '../core/bus/bus.ts'

/** What this process remembers of a namespace, for clients that come back. */
const MOST_DELIVERED = 10_000
const MOST_DELIVERED_BYTES = 4 * 1024 * 1024

/** What this process has delivered, in that order: positions of several epochs do not compare. */
export class DeliveredMessages {
  readonly #keptMs: number
  #all: { readonly message: BusMessage; readonly sizeBytes: number; readonly atMs: number }[] = []
  #bytes = 0

  constructor(keptMs: number) {
    this.#keptMs = keptMs
  }

  add(message: BusMessage): void {
    const sizeBytes = JSON.stringify(message.data).length
    this.#all.push({ message, sizeBytes, atMs: Date.now() })
    this.#bytes += sizeBytes
    while (this.#isTooMuch()) this.#bytes -= this.#all.shift()?.sizeBytes ?? 0
  }

  /** What came after that position; undefined where nobody knows any more. */
  after({ epoch, offset }: Position): readonly BusMessage[] | undefined {
    const at = this.#all.findIndex(({ message }) => message.offset === offset && message.epoch === epoch)
    return at < 0 ? undefined : this.#all.slice(at + 1).map(({ message }) => message)
  }

  forget(): void {
    this.#all = []
    this.#bytes = 0
  }

  #isTooMuch(): boolean {
    const [first] = this.#all
    if (!first) return false
    const isOld = first.atMs <= Date.now() - this.#keptMs
    return isOld || this.#all.length > MOST_DELIVERED || this.#bytes > MOST_DELIVERED_BYTES
  }
}
