// How a server is spoken to. What it does not know of the best way is done without:
//
//   tracked    RESP 3, and it announces other clients' writes
//   untracked  RESP 3
//   resp2      RESP 2, and nothing of CLIENT: Redis 5 and older, some proxies and hosts know no HELLO
//
// A lesser way is kept while this process lives where the server has said that it knows no better one.
import { ErrorReply, SocketClosedUnexpectedlyError } from 'redis'
import { IS_FULL } from './refusals.ts'

export type Way = 'tracked' | 'untracked' | 'resp2'

export interface Ways {
  /** The best one that is not known to be refused. */
  best(): Way
  /** What to try after this failure; undefined: the failure says nothing of the way. */
  after(way: Way, failure: unknown): Lesser | undefined
  /** It has worked. */
  worked(lesser: Lesser): void
}

export interface Lesser {
  readonly way: Way
  /** Whether the better way need not be tried again. */
  readonly lasts: boolean
}

/** Only tracking is refused in these words. Anything else (BUSY, LOADING …) says nothing of tracking. */
const REFUSES_TRACKING = /^(ERR|NOPERM)\b/
const KNOWS_NO_TRACKING = /^(NOPERM\b|ERR (unknown|syntax error))/i
const REFUSES_HELLO = /^NOPROTO\b|\bhello\b/i
/** Words of servers that do not name what they refuse. */
const REFUSES_SOMETHING = /^ERR\b.*(unknown|unsupported|protocol|syntax)/i

export function createWays({ mayTrack, hasPassword }: { mayTrack: boolean; hasPassword: boolean }): Ways {
  let best: Way = mayTrack ? 'tracked' : 'untracked'

  return {
    best: () => best,
    after(way, failure) {
      if (way === 'resp2') return undefined
      // Some proxies close the connection on a command that they do not know.
      if (isCutOff(failure)) return { way: 'resp2', lasts: false }
      if (!(failure instanceof ErrorReply) || IS_FULL.test(failure.message)) return undefined
      const { message } = failure
      // HELLO logs in, so that with a password this is an answer of one who does not know it. Without one it is about
      // the password, also where its words name HELLO, as Redis' own do.
      if (message.startsWith('NOAUTH')) return hasPassword ? { way: 'resp2', lasts: false } : undefined
      if (REFUSES_HELLO.test(message)) return { way: 'resp2', lasts: true }
      if (way === 'untracked')
        return REFUSES_SOMETHING.test(message) ? { way: 'resp2', lasts: false } : undefined
      // So does one that refuses everything: the next try shows which it is.
      return REFUSES_TRACKING.test(message)
        ? { way: 'untracked', lasts: KNOWS_NO_TRACKING.test(message) }
        : undefined
    },
    worked({ way, lasts }) {
      if (lasts) best = way
    },
  }
}

const isCutOff = (failure: unknown) =>
  failure instanceof SocketClosedUnexpectedlyError ||
  (failure as { code?: string } | undefined)?.code === 'ECONNRESET'
