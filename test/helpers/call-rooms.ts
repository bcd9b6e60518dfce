// Rooms without sockets, over any channel layer, and what those who enter them are told.

import type { Bus } from '../../src/core/bus/bus.ts'
import type { ServerMessage } from '../../src/features/calls/protocol.ts'
import { createRooms, type Entry, type Welcome } from '../../src/features/calls/room.ts'
import { capacityOf } from '../../src/features/calls/room-name.ts'
import type { Seat } from '../../src/features/calls/seat.ts'
import type { StartTimer } from '../../src/lib/time.ts'

/** Timers that a test lets run out. */
function createTimers() {
  const timers = new Set<{ ms: number; call: () => void }>()
  const startTimer: StartTimer = (ms, call) => {
    const timer = { ms, call }
    timers.add(timer)
    return () => void timers.delete(timer)
  }
  return {
    startTimer,
    pending: () => [...timers].map(({ ms }) => ms),
    runOut() {
      for (const timer of [...timers]) {
        timers.delete(timer)
        timer.call()
      }
    },
  }
}

export function openRooms<T extends Bus>(bus: T) {
  const timers = createTimers()
  const rooms = createRooms({ bus, capacityOf, startTimer: timers.startTimer })
  async function enter(room: string, name: string, again: Partial<Pick<Entry, 'returning' | 'since'>> = {}) {
    const told: ServerMessage[] = []
    let wasTaken = false
    let welcome: Welcome | undefined
    const listener = {
      tell: (message: ServerMessage) => void told.push(message),
      taken: () => {
        wasTaken = true
      },
      failed(error: unknown) {
        throw error
      },
    }
    const entry = { room, name, guest: true, returning: undefined, since: undefined, ...again, listener }
    const seat = await rooms.join(entry, (_seat, given) => {
      welcome = given
    })
    return {
      seat: seat as Seat,
      told,
      welcome: welcome as unknown as Welcome,
      wasTaken: () => wasTaken,
      types: () => told.map(({ type }) => type),
    }
  }
  return { bus, timers, rooms, enter }
}

export type Entered = Awaited<ReturnType<ReturnType<typeof openRooms>['enter']>>
