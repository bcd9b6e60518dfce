// Bugs that a channel layer can have, each planted in a part that is given to the wiring: the model must find every one.
import { randomUUID } from 'node:crypto'
import type { BusMessage, Subscriber } from '../../src/core/bus/bus.ts'
import { createLine, type Line } from '../../src/core/bus/channel.ts'
import type { BusParts } from '../../src/core/bus/open-bus.ts'
import { createRedisBus, type RedisBus } from '../../src/core/bus/redis-bus.ts'

const inLine = (break_: (line: Line) => Partial<Line>): BusParts => ({
  createRedisBus,
  createLine(...args) {
    const line = createLine(...args)
    return { ...line, ...break_(line) }
  },
})

const inRedis = (break_: (redis: RedisBus) => Partial<RedisBus>): BusParts => ({
  createLine,
  createRedisBus(options) {
    const redis = createRedisBus(options)
    return { ...redis, ...break_(redis) }
  },
})

const renamed = <T extends { id: string }>(message: T): T => ({ ...message, id: randomUUID() })

/** Every tenth message waits for the next one. */
function hasty(subscriber: Subscriber): Subscriber {
  let held: BusMessage | undefined
  let count = 0
  return {
    ...subscriber,
    async message(message) {
      count += 1
      if (count % 10 === 0) held = message
      else {
        await subscriber.message(message)
        if (held) await subscriber.message(held)
        held = undefined
      }
    },
  }
}

export const bugs: Record<string, { parts: BusParts; foundIn: RegExp }> = {
  'what was seen here in an outage is delivered again after it': {
    parts: inLine((line) => ({
      adopt: (stretch) => line.adopt({ ...stretch, messages: stretch.messages.map(renamed) }),
    })),
    foundIn: /came twice|twice in history/, // also when it was written back to a Redis that had lost it
  },
  'what Redis has already is appended again': {
    parts: inRedis((redis) => ({
      merge: (channel, messages, seen) => redis.merge(channel, messages.map(renamed), seen),
    })),
    foundIn: /came twice|twice in history/,
  },
  'a new epoch is not announced': {
    parts: inLine((line) => ({
      subscribe: (subscriber, ...rest) =>
        line.subscribe(
          { ...subscriber, gap: (gap) => void (gap.reason !== 'epoch' && subscriber.gap(gap)) },
          ...rest,
        ),
    })),
    foundIn: /not announced/,
  },
  'what a slow subscriber was not given is not announced': {
    parts: inLine((line) => ({
      subscribe: (subscriber, ...rest) =>
        line.subscribe(
          { ...subscriber, gap: (gap) => void (gap.reason !== 'behind' && subscriber.gap(gap)) },
          ...rest,
        ),
    })),
    foundIn: /came after|not announced/,
  },
  'a message overtakes another': {
    parts: inLine((line) => ({
      subscribe: (subscriber, ...rest) => line.subscribe(hasty(subscriber), ...rest),
    })),
    foundIn: /came after|not announced/,
  },
  'what Redis may have got is taken for got': {
    parts: inRedis((redis) => ({
      merge: (channel, messages, seen) =>
        redis.merge(
          channel,
          messages.filter(({ kind }) => kind !== 'asked'),
          seen,
        ),
    })),
    foundIn: /missing in history/,
  },
}
