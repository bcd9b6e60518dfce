// Scripts of ours, and running them on Redis.
import { createHash } from 'node:crypto'
import { ErrorReply } from 'redis'
import type { RedisClient } from './connection.ts'

export interface Script {
  readonly source: string
  readonly sha: string
}

export const script = (source: string): Script => ({
  source,
  sha: createHash('sha1').update(source).digest('hex'),
})

/** It is no script that was lost: the server, or its user, has EVAL alone. */
const HAS_NO_EVALSHA = /^(NOPERM|ERR unknown command)\b.*evalsha/i
const hasNoEvalSha = new WeakSet<RedisClient>()

/**
 * EVALSHA spares the source on every call; a server that lost its scripts (restart, SCRIPT FLUSH) gets it once more.
 * Rejects as node-redis does.
 */
export async function runScript(
  client: RedisClient,
  { sha, source }: Script,
  parts: { keys: string[]; arguments: (string | Buffer)[] },
): Promise<unknown> {
  if (hasNoEvalSha.has(client)) return await client.eval(source, parts)
  try {
    return await client.evalSha(sha, parts)
  } catch (error) {
    if (!(error instanceof ErrorReply)) throw error
    if (HAS_NO_EVALSHA.test(error.message)) hasNoEvalSha.add(client)
    else if (!error.message.startsWith('NOSCRIPT')) throw error
    return await client.eval(source, parts)
  }
}
