// `samovar jobs`: the dead letters of the running app, which is asked over HTTP on this machine.
import { z } from 'zod'
import { cleanText } from '../lib/plain-text.ts'
import { SECOND } from '../lib/time.ts'
import { Failure, Misuse } from './failure.ts'

const LIMIT_MS = 10 * SECOND

const letters = z.object({
  isComplete: z.boolean(),
  dead: z.array(
    z.object({ name: z.string(), id: z.string(), reason: z.string(), failedAt: z.string().nullable() }),
  ),
})
type Letter = z.infer<typeof letters>['dead'][number]
const problem = z.object({ detail: z.string() })

export interface AskedApp {
  readonly port: number
  readonly token: string
}

/** What it prints. Throws a Failure, or a Misuse. */
export async function jobsCommand(words: readonly string[], app: AskedApp): Promise<string> {
  const [action, id, ...rest] = words
  if (action === 'dead' && id === undefined) return list(app)
  if (action === 'retry' && id !== undefined && rest.length === 0) return retry(app, id)
  throw new Misuse('jobs takes "dead", or "retry ID" with an ID that "jobs dead" lists')
}

const nameOf = ({ name, id }: Letter) => `${name}:${id}`

async function list(app: AskedApp): Promise<string> {
  const { isComplete, dead } = await deadLetters(app)
  const lines = dead.map(
    (one) => `${cleanText(nameOf(one))}  ${one.failedAt ?? '-'}  ${cleanText(one.reason)}`,
  )
  if (lines.length === 0) lines.push('no dead letters')
  if (!isComplete) lines.push('Redis is away: those in Redis are not listed')
  return lines.join('\n')
}

async function retry(app: AskedApp, given: string): Promise<string> {
  const { isComplete, dead } = await deadLetters(app)
  const found = dead.filter((one) => nameOf(one) === given || one.id === given)
  if (found.length > 1)
    throw new Failure(`more than one dead letter has the id ${given}: ${found.map(nameOf).join(', ')}`)
  const [one = parsed(given)] = found
  if (!one)
    throw new Failure(
      isComplete
        ? `no dead letter ${given}: samovar jobs dead lists them`
        : `no dead letter ${given} here, and Redis is away: try again when it is back`,
    )
  await ask(app, '/api/jobs/dead/retry', { name: one.name, id: one.id })
  return `${one.name}:${one.id} runs again`
}

/** Of one that is not among the last ones, or is in a Redis that is away: the app says so. */
function parsed(given: string): Pick<Letter, 'name' | 'id'> | undefined {
  const [, name, id] = /^([\w-]+):(.+)$/.exec(given) ?? []
  return name === undefined || id === undefined ? undefined : { name, id }
}

async function deadLetters(app: AskedApp): Promise<z.infer<typeof letters>> {
  const parsed = letters.safeParse(await ask(app, '/api/jobs/dead'))
  if (!parsed.success) throw new Failure('the app answers something else: is it another version?')
  return parsed.data
}

async function ask({ port, token }: AskedApp, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(LIMIT_MS),
  }).catch(() => undefined)
  if (!answer) throw new Failure(`the app does not answer on port ${port}: is it running here?`)
  const json: unknown = await answer.json().catch(() => undefined)
  if (!answer.ok)
    throw new Failure(problem.safeParse(json).data?.detail ?? `the app answered ${answer.status}`)
  return json
}
