// Whether there is a Redis at all, outside the image: who develops on a machine without one must be able to log in. A
// refused connection to this machine is its kernel's own word that no server is there. One that has answered anything
// since the start, LOADING for instance, is there, also when it is away later. Inside the image there always is one.
import type { RedisUnavailable } from '../../errors.ts'
import type { RedisConnection } from '../../redis/connection.ts'

/** The connection, which tells whether nobody has been there so far. */
export function noticeNobody(
  connection: RedisConnection,
  tell: (isNobodyThere: boolean) => void,
): RedisConnection {
  let hasAnswered = false
  return {
    ...connection,
    async open() {
      try {
        await connection.open()
        hasAnswered = true
      } catch (error) {
        const isRefused = NOBODY.has(codeOf(error))
        hasAnswered ||= !isRefused
        throw error
      } finally {
        tell(!hasAnswered)
      }
    },
  }
}

const NOBODY = new Set(['ECONNREFUSED', 'ENOENT']) // of a port, of a socket's path

const codeOf = (error: unknown) =>
  String(((error as RedisUnavailable).cause as { code?: string } | undefined)?.code)
