// Running a script of ours on Redis.
import { ErrorReply } from 'redis'
import type { Script } from '../cache/cache-scripts.ts'
import type { RedisClient } from './connection.ts'

/**
 * EVALSHA spares the source on every call; a server that lost its scripts (restart, SCRIPT FLUSH) gets it once more.
 * Rejects as node-redis does.
 */
export async function runScript(
  client: RedisClient,
  { sha, source }: Script,
  parts: { keys: string[]; arguments: (string | Buffer)[] },
): Promise<unknown> {
  try {
    return await client.evalSha(sha, parts)
  } catch (error) {
    if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT')) throw error
    return await client.eval(source, parts)
  }
}
