// The keys of the state role in Redis: their names, and what becomes of one under which somebody has put another
// type of value. That is the key's trouble, not the server's: it reads as absent, and the next write takes its
// place.
import { ErrorReply } from 'redis'
import { type FindKind, keys } from '../keys.ts'
import type { RedisClient } from '../redis/connection.ts'
import { runScript, type Script } from '../redis/script-runner.ts'
import type { Argument } from './kinds/kind.ts'
import { kinds } from './kinds/kinds.ts'
import { DROP_FOREIGN } from './state-scripts.ts'

type Names = string | readonly string[]

export interface RedisStateKeysOptions {
  prefix: string
  kindOf: FindKind
  /** A read, or a write, met a value of another type. */
  foreign: (key: string, met: 'read' | 'written') => void
}

export function createRedisStateKeys({ prefix, kindOf, foreign }: RedisStateKeysOptions) {
  const own = (key: string) => prefix + key

  const parts = (names: Names, ...args: Argument[]) => ({
    keys: [names].flat().map(own),
    arguments: args.map((arg) => (Buffer.isBuffer(arg) ? arg : String(arg))),
  })

  /** What TYPE says of a key of ours. */
  function typeOf(key: string): string {
    const kind = kindOf(key)
    return kind ? kinds[kind].inRedis.type : key === keys.sequences ? 'hash' : 'string'
  }

  async function dropForeign(client: RedisClient, names: Names): Promise<void> {
    const all = [names].flat()
    for (const key of all) foreign(key, 'written')
    await runScript(client, DROP_FOREIGN, parts(all, ...all.map(typeOf)))
  }

  /** Writes; `replaced`: in the place of what was of another type. */
  async function writing<T>(client: RedisClient, names: Names, write: () => Promise<T>) {
    try {
      return { reply: await write(), replaced: false }
    } catch (error) {
      if (!isWrongType(error)) throw error
      await dropForeign(client, names)
      return { reply: await write(), replaced: true }
    }
  }

  return {
    own,
    foreign,
    writing,
    /** What is under the key; undefined when it is of another type. */
    async reading<T>(key: string, found: Promise<T>): Promise<T | undefined> {
      try {
        return await found
      } catch (error) {
        if (!isWrongType(error)) throw error
        foreign(key, 'read')
        return undefined
      }
    },
    /** Runs a script that writes, as `writing`. */
    run: (client: RedisClient, script: Script, names: Names, ...args: Argument[]) =>
      writing(client, names, () => runScript(client, script, parts(names, ...args))),
  }
}

const isWrongType = (error: unknown) => error instanceof ErrorReply && error.message.includes('WRONGTYPE')
