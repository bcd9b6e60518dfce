// Closers, registered where a thing is made and run last in, first out.

export interface Closable {
  close(): Promise<void> | void
}

export interface Scope extends Closable {
  /** Registers the thing's closer and hands the thing back. */
  add<T extends Closable>(thing: T): T
  /** Runs every closer, each even if another fails; throws the failures together at the end. */
  close(): Promise<void>
}

export function createScope(): Scope {
  const things: Closable[] = []
  return {
    add(thing) {
      things.push(thing)
      return thing
    },
    async close() {
      const failures: unknown[] = []
      for (let thing = things.pop(); thing; thing = things.pop()) {
        try {
          await thing.close()
        } catch (failure) {
          failures.push(failure)
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'not everything closed cleanly')
    },
  }
}
