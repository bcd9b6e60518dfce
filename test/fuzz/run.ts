// npm run fuzz: see HELP.
import { parseArgs } from 'node:util'
import { curlOf } from './curl.ts'
import { describe, type Found, fuzz } from './fuzz.ts'
import { unknownLines } from './judge.ts'
import { makeRequest, randomSeed } from './make-request.ts'
import { openWorld } from './world.ts'

const HELP = `npm run fuzz -- [--seed N] [--count N] [--only I] [--redis on|off|both] [--curl]

Sends generated requests to every route of the app (the list is the app's own), half of them to one with a real Redis
and half to one without, both with fake third parties. Methods, paths, queries, headers, cookies, bodies, types,
encodings, sizes, tokens and WebSocket frames are changed at random, from the seed.

A fault is: a 5xx that is not planned, a 2xx to who may not have it or for what must be refused, an upgrade without a
login, a redirect to another site, no answer, an error in the log, an exception that nobody caught.

  --seed N      the seed; without it a random one, which is printed
  --count N     how many requests (20000)
  --only I      only the request of that number: what a fault prints
  --redis HOW   on, off, or both (the default): half of the requests each
  --curl        with --only: prints the request as a curl command, and does not send it
  --help        this

Each fault is printed with the way to repeat it, and as a curl command. The cookies and tokens in it are those of this
run: for another app, replace them. Ends with code 1 where a fault was found.`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    count: { type: 'string', default: '20000' },
    only: { type: 'string' },
    redis: { type: 'string', default: 'both' },
    curl: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) {
  console.log(HELP)
  process.exit(0)
}

function numberOf(name: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  console.error(`--${name} must be a number\n\n${HELP}`)
  process.exit(2)
}

const seed = values.seed === undefined ? randomSeed() : numberOf('seed', values.seed)
const count = numberOf('count', values.count)
const only = values.only === undefined ? undefined : numberOf('only', values.only)
if (!['on', 'off', 'both'].includes(values.redis)) {
  console.error(`--redis must be on, off or both\n\n${HELP}`)
  process.exit(2)
}

/** A request's number says all of it, whichever app it is sent to: the first half goes to the one with Redis. */
const parts: [hasRedis: boolean, from: number, count: number][] = []
const half = Math.ceil(count / 2)
if (values.redis === 'both' && only === undefined) parts.push([true, 0, half], [false, half, count - half])
else
  for (const hasRedis of values.redis === 'both' ? [true, false] : [values.redis === 'on'])
    parts.push([hasRedis, only ?? 0, only === undefined ? count : 1])

console.log(`seed ${seed}, ${only === undefined ? `${count} requests` : `request ${only}`}`)
const beganAtMs = Date.now()
let faults = 0
for (const [hasRedis, from, many] of parts) {
  const world = await openWorld(hasRedis)
  const stale = unknownLines(world.routes)
  if (stale.length > 0) console.error(`test/fuzz/judge.ts has lines of no route: ${stale.join(', ')}`)
  if (values.curl && only !== undefined) console.log(curlOf(makeRequest(seed, only, world)))
  else report(hasRedis, await fuzz(world, { seed, from, count: many }), many, world.routes.length)
  await world.close()
}
console.log(`${faults} faults in ${Math.round((Date.now() - beganAtMs) / 1_000)} s`)
process.exit(faults > 0 ? 1 : 0)

function report(hasRedis: boolean, found: Found, many: number, routes: number): void {
  faults += found.faults.length
  for (const fault of found.faults) console.log(describe(fault))
  const said = Object.entries(found.statuses).map(
    ([status, n]) => `${n} × ${status === '0' ? 'hung up' : status}`,
  )
  console.log(
    `${hasRedis ? 'with Redis' : 'without'}: ${many} requests to ${routes} routes: ${said.join(', ')}`,
  )
}
