// One call at a time for each key: callers that ask while it runs get the same promise.

export interface SingleFlight<T> {
  run(key: string, call: () => Promise<T>): Promise<T>
  /** Lets the next caller start a new one; those that already wait keep their promise. */
  forget(key: string): void
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>()
  return {
    run(key, call) {
      const running = flights.get(key)
      if (running) return running
      const flight = call().finally(() => {
        if (flights.get(key) === flight) flights.delete(key)
      })
      flights.set(key, flight)
      return flight
    },
    forget: (key) => void flights.delete(key),
  }
}
