// Bugs that a channel layer can have, each planted in a part that is given to the wiring: the model must find each.
import { randomUUID } from 'node:crypto'
import type { BusMessage, Subscriber } from '../../src/core/bus/bus.ts'
import { createLocalChannel, type LocalChannel } from '../../src/core/bus/local-channel.ts'
import type { BusParts } from '../../src/core/bus/open-bus.ts'
import { createRedisBus, type RedisBus } from '../../src/core/bus/redis-bus.ts'

const inLocalChannel = (break_: (local: LocalChannel) => Partial<LocalChannel>): BusParts => ({
  createRedisBus,
  createLocalChannel(...args) {
    const local = createLocalChannel(...args)
    return { ...local, ...break_(local) }
  },
})

const inRedis = (break_: (redis: RedisBus) => Partial<RedisBus>): BusParts => ({
  createLocalChannel,
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
    parts: inLocalChannel((local) => ({
      resync: (page) => local.resync({ ...page, messages: page.messages.map(renamed) }),
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
    parts: inLocalChannel((local) => ({
      subscribe: (subscriber, ...rest) =>
        local.subscribe(
          { ...subscriber, gap: (gap) => void (gap.reason !== 'epoch' && subscriber.gap(gap)) },
          ...rest,
        ),
    })),
    foundIn: /not announced/,
  },
  'what a slow subscriber was not given is not announced': {
    parts: inLocalChannel((local) => ({
      subscribe: (subscriber, ...rest) =>
        local.subscribe(
          { ...subscriber, gap: (gap) => void (gap.reason !== 'behind' && subscriber.gap(gap)) },
          ...rest,
        ),
    })),
    foundIn: /came after|not announced/,
  },
  'a message overtakes another': {
    parts: inLocalChannel((local) => ({
      subscribe: (subscriber, ...rest) => local.subscribe(hasty(subscriber), ...rest),
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
