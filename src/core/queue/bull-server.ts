// Whether BullMQ can work on a server. It is asked before BullMQ opens, which would fail at each missing command and
// write that to the console.
import { pause, SECOND } from '../../lib/time.ts'
import { RedisUnavailable } from '../errors.ts'
import { describeMissing, FIND_MISSING, JOB_COMMANDS } from '../redis/needed-commands.ts'
import { unavailable } from '../redis/refusals.ts'

const CHECK_MS = 2 * SECOND
const NO_SCRIPT = '0'.repeat(40)

export interface BullServer {
  /** For BullMQ, which reads the version from it; without the policy, of which it would warn for each queue. */
  readonly info: string
  /** Undefined where INFO is refused. */
  readonly evictionPolicy: string | undefined
}

/** What is asked of a client of node-redis. */
interface Asked {
  eval(source: string, parts: { keys: string[]; arguments: string[] }): Promise<unknown>
  evalSha(sha: string, parts: { keys: string[] }): Promise<unknown>
  bzPopMin(key: string, timeoutS: number): Promise<unknown>
  info(): Promise<string>
}

/** Rejects with RedisUnavailable, whose message names what is missing. `key` is nobody's. */
export async function examineServer(client: Asked, key: string): Promise<BullServer> {
  const late = pause(CHECK_MS).then(() => {
    throw new RedisUnavailable('silent', `no answer within ${CHECK_MS} ms`)
  })
  try {
    const [missing, , doubles, info] = await Promise.race([
      late,
      Promise.all([
        client.eval(FIND_MISSING, { keys: [key], arguments: JOB_COMMANDS }),
        client.evalSha(NO_SCRIPT, { keys: [key] }).catch(unlessAbout(/^NOSCRIPT\b/)),
        client.bzPopMin(key, 0.01).then(() => true, unlessAbout(/timeout is not an integer/)), // not for scripts
        client.info().catch(unlessAbout(/^(ERR|NOPERM)\b/)),
      ]),
    ])
    const described = describeMissing(missing as string[])
    if (described) throw new RedisUnavailable('refused', described)
    return describe(info, doubles === true)
  } catch (error) {
    throw unavailable(error)
  }
}

const unlessAbout = (reply: RegExp) => (error: unknown) => {
  const { reason, message } = unavailable(error)
  if (reason !== 'refused' || !reply.test(message)) throw error
  return undefined
}

const POLICY = /^maxmemory_policy:(\S+).*$/m

function describe(info: string | undefined, takesFractions: boolean): BullServer {
  return {
    info: info?.replace(POLICY, '') ?? `redis_version:${takesFractions ? '6.0.0' : '5.0.0'}\r\n`,
    evictionPolicy: info && POLICY.exec(info)?.[1],
  }
}
