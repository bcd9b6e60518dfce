// The subscribers of one channel in this process, each behind a bounded queue of its own, so that nobody waits for
// anybody else. A queue hands over in order, one item at a time. When it is full it drops what comes, and says so in
// one gap, once the subscriber has caught up.
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { type BusMessage, type Gap, HISTORY_BYTES, type Subscriber } from './bus.ts'
import { bytesOf } from './message-log.ts'

export type QueueItem = { readonly message: BusMessage } | { readonly gap: Gap }

interface SubscriberQueue {
  /** Handed over immediately when the subscriber is waiting, else in its turn. */
  put(item: QueueItem): void
  close(): void
}

const CAPACITY = 100

function createSubscriberQueue(subscriber: Subscriber, log: Log): SubscriberQueue {
  const { capacity = CAPACITY } = subscriber
  const items: QueueItem[] = []
  let queuedBytes = 0
  // Busy until the caller has its subscription, which says what comes before: one turn for its promise, and then ours.
  let isBusy = true
  let isClosed = false
  queueMicrotask(() => queueMicrotask(startDraining))

  function startDraining(): void {
    void inBackground(drain(), log)
  }

  function enqueue(item: QueueItem): void {
    const last = items.at(-1)
    const gap = last && 'gap' in last ? last.gap : undefined
    if ('gap' in item) {
      // Two gaps with nothing between them are one.
      if (gap) items.pop()
      items.push({ gap: gap?.reason === 'behind' ? { ...gap, to: item.gap.to } : item.gap })
      return
    }
    const { channel, epoch, offset } = item.message
    const to = { epoch, offset }
    if (gap?.reason === 'behind') items[items.length - 1] = { gap: { ...gap, to } }
    else if (items.length < capacity && queuedBytes < HISTORY_BYTES) {
      items.push(item)
      queuedBytes += bytesOf(item.message)
    } else enqueue({ gap: { channel, reason: 'behind', to } })
  }

  async function drain(): Promise<void> {
    isBusy = true
    for (let item = items.shift(); item && !isClosed; item = items.shift()) {
      try {
        if ('message' in item) queuedBytes -= bytesOf(item.message)
        const handled = 'gap' in item ? subscriber.gap(item.gap) : subscriber.message(item.message)
        if (handled) await handled
      } catch (error) {
        // One subscriber's bug is not the others'.
        log.error({ err: error }, 'a subscriber of the channel layer failed')
      }
    }
    isBusy = false
  }

  return {
    put(item) {
      if (isClosed) return
      enqueue(item)
      if (!isBusy) startDraining()
    },
    close() {
      isClosed = true
      items.length = 0
    },
  }
}

export interface Subscribers {
  /** It gets what is emitted from now on; the returned function ends that. */
  add(subscriber: Subscriber): () => void
  /** A subscriber may publish while it is given an item: the next item waits until all have this one. */
  emit(item: QueueItem): void
  count(): number
}

export function createSubscribers(log: Log): Subscribers {
  const queues = new Map<SubscriberQueue, number>() // how many items were emitted before each was added
  const pending: QueueItem[] = []
  let isEmitting = false
  let emitted = 0
  let delivered = 0

  return {
    add(subscriber) {
      const queue = createSubscriberQueue(subscriber, log)
      queues.set(queue, emitted)
      return () => {
        queues.delete(queue)
        queue.close()
      }
    },
    emit(item) {
      pending.push(item)
      emitted += 1
      if (isEmitting) return
      isEmitting = true
      for (let next = pending.shift(); next; next = pending.shift()) {
        delivered += 1
        for (const [queue, before] of queues) if (delivered > before) queue.put(next)
      }
      isEmitting = false
    },
    count: () => queues.size,
  }
}
