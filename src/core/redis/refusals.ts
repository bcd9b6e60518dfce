// What Redis' refusals mean: as RedisUnavailable, and as a sentence about what an operator can do.
import { ErrorReply } from 'redis'
import { RedisUnavailable } from '../errors.ts'

/** Redis repeats the arguments of a command that it does not know: those of HELLO and AUTH are passwords. */
const ARGUMENTS = /,? *with args beginning with:.*$/s

/**
 * The failure as RedisUnavailable. Every error reply is a refusal: managed servers have words of their own, and a
 * caller whose command is wrong is better served from memory than with an error.
 */
export function unavailable(cause: unknown): RedisUnavailable {
  if (cause instanceof RedisUnavailable) return cause
  if (cause instanceof ErrorReply) withoutArguments(cause)
  const message = cause instanceof Error && cause.message ? cause.message : describeCode(cause)
  const [firstSentence = message] = message.split(/\.\s|\.$/, 1) // Redis explains at length
  return new RedisUnavailable(cause instanceof ErrorReply ? 'refused' : 'lost', firstSentence, { cause })
}

function withoutArguments(reply: ErrorReply): void {
  const { message } = reply
  if (!ARGUMENTS.test(message)) return
  reply.message = message.replace(ARGUMENTS, '')
  reply.stack = `${reply.name}: ${reply.message}`
}

// Node reports a refused connection to a name with two addresses as an AggregateError without a message.
function describeCode(cause: unknown): string {
  return String((cause as { code?: string } | undefined)?.code ?? cause)
}

/** A connection was refused because there are too many. */
export const IS_FULL =
  /max(imum)? (number of|concurrent) (clients|connections)|too many (clients|connections)/i

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    IS_FULL,
    'each process opens two connections, one more for channels, and one for jobs and one for each kind of them: ' +
      'raise maxclients or the plan (docs/deploying.md, External Redis)',
  ],
  [/^READONLY\b/, 'this is a replica: REDIS_URL must name the primary'],
  [/^(NOAUTH|WRONGPASS)\b|invalid password/i, 'check user and password of REDIS_URL'],
  [
    /^(MOVED|ASK|CROSSSLOT|CLUSTERDOWN)\b/,
    'Redis Cluster is not supported: name one server without cluster mode',
  ],
  [/for 'auth' command/i, 'this Redis knows no users: leave the user out of REDIS_URL'],
  [
    /without any password configured|no password is set/i,
    'this Redis has no password: leave it out of REDIS_URL and REDIS_PASSWORD',
  ],
  [
    /self-signed certificate|unable to (verify|get)|altnames/i,
    'name the file of its certificate authority in REDIS_CA_FILE, ' +
      'and in REDIS_URL the host that the certificate is for',
  ],
  [/wrong version number|packet length too long/i, 'this port speaks no TLS: begin REDIS_URL with redis://'],
  [
    /^DENIED\b/,
    'this Redis takes no connections of other machines: give it a password, or protected-mode no',
  ],
  [
    /DB index is out of range|invalid DB index|SELECT is not allowed/i,
    'REDIS_URL names a database that is not there: use /0',
  ],
  [/(requests?|commands?) limit exceeded|quota/i, 'the plan of this Redis is used up'],
  [/^MISCONF\b/, 'this Redis cannot save to its disk: see its own log'],
  [/^OOM\b/, 'this Redis is full: raise its maxmemory'],
  [
    /^NOPERM\b|ACL failure|can't run this command/i,
    'give the user the rights of docs/deploying.md, External Redis',
  ],
  [
    /unknown command|does not know/i,
    'Samovar needs this command: use a server that has it (docs/deploying.md, External Redis)',
  ],
]

/** What an operator can do about it; undefined where nothing is known. */
export const hintFor = (message: string): string | undefined =>
  HINTS.find(([words]) => words.test(message))?.[1]
