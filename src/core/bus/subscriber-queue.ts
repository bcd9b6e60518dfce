// One subscriber and the queue before it: in order, one at a time, bounded. A queue that is full drops what comes and says so
// once, when the subscriber has caught up.
import type { Log } from '../../log.ts'
import { type BusMessage, type Gap, HISTORY_BYTES, type Subscriber } from './bus.ts'
import { bytesOf } from './message-size.ts'

export type Item = { readonly message: BusMessage } | { readonly gap: Gap }

export interface Outlet {
  /** At once when the subscriber waits for it, else later. */
  put(item: Item): void
  close(): void
}

const CAPACITY = 100

export function createOutlet(subscriber: Subscriber, log: Log): Outlet {
  const { capacity = CAPACITY } = subscriber
  const queue: Item[] = []
  let queuedBytes = 0
  // Busy until who subscribes has its subscription, which says what comes before: one turn for the promise, and then ours.
  let isBusy = true
  let isClosed = false
  queueMicrotask(() => queueMicrotask(() => void drain()))

  function put(item: Item): void {
    if (isClosed) return
    enqueue(item)
    if (!isBusy) void drain()
  }

  function enqueue(item: Item): void {
    const last = queue.at(-1)
    const gap = last && 'gap' in last ? last.gap : undefined
    if ('gap' in item) {
      // Two gaps with nothing between them are one.
      if (gap) queue.pop()
      queue.push({ gap: gap?.reason === 'behind' ? { ...gap, to: item.gap.to } : item.gap })
      return
    }
    const { channel, epoch, offset } = item.message
    const to = { epoch, offset }
    if (gap?.reason === 'behind') queue[queue.length - 1] = { gap: { ...gap, to } }
    else if (queue.length < capacity && queuedBytes < HISTORY_BYTES) {
      queue.push(item)
      queuedBytes += bytesOf(item.message)
    } else enqueue({ gap: { channel, reason: 'behind', to } })
  }

  async function drain(): Promise<void> {
    isBusy = true
    for (let item = queue.shift(); item && !isClosed; item = queue.shift()) {
      try {
        if ('message' in item) queuedBytes -= bytesOf(item.message)
        const settled = 'gap' in item ? subscriber.gap(item.gap) : subscriber.message(item.message)
        if (settled) await settled
      } catch (error) {
        // One subscriber's bug is not the others'.
        log.error({ err: error }, 'a subscriber of the channel layer failed')
      }
    }
    isBusy = false
  }

  return {
    put,
    close() {
      isClosed = true
      queue.length = 0
    },
  }
}
