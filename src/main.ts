// Start and stop: the only side effects at import, and the only process.exit.
import { features as ours } from './app.ts'
import { InvalidEnvironment, readConfig, readUserDir } from './config.ts'
import { openApp } from './host/open-app.ts'
import { portProblem } from './lib/environment/port-problem.ts'
import { createLog } from './log.ts'
import { openUserFolder } from './user/open-user-folder.ts'
import { outliveUser } from './user/outlive-user.ts'

const EXIT_CONFIGURATION = 78 // EX_CONFIG in sysexits.h: pm2 and the guard do not try again

// What code of the user's lets go while it is loaded is judged when there is a log.
const early: unknown[] = []
const MOST_EARLY = 100
const keep = (error: unknown) => early.length >= MOST_EARLY || early.push(error) > 0
let outlive = (error: unknown) => readUserDir() !== undefined && keep(error)
let end = (error: unknown): void => {
  process.stderr.write(`${(error as Error | undefined)?.stack ?? error}\n`)
  process.exit(1)
}
process.on('uncaughtException', unexpected)

let withPlaces = (error: InvalidEnvironment) => error
const user = await orExit(() => openUserFolder(readUserDir()))
withPlaces = user.withPlaces
outlive = (error) => user.ownerOf(error) !== undefined && keep(error)
const features = [...ours, ...user.features]
const config = await orExit(() => readConfig(features))
await orExit(() => user.tryTables(ours, config))
const log = createLog(config.log)
for (const warning of config.warnings) log.warn(warning)

outlive = outliveUser(user, log)
end = (error) => {
  log.fatal({ err: error }, 'unexpected error: the app exits and is restarted (please report it)')
  process.exit(1)
}
for (const error of early) unexpected(error)

const app = await orExit(() => openApp({ features, config, log }))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))

try {
  const port = await app.listen()
  log.info({ port, mode: config.mode }, `listening on port ${port}`)
  user.watch?.serving()
  if (user.server && !config.runDir)
    log.info(`${user.server.file}: only the image runs "${user.server.command}", here start it yourself`)
  process.send?.('ready')
} catch (error) {
  if (error instanceof InvalidEnvironment) refuse(error)
  const problem = portProblem(config.port, (error as NodeJS.ErrnoException).code)
  if (problem === undefined) throw error
  log.fatal(problem)
  process.exit(EXIT_CONFIGURATION)
}

function unexpected(error: unknown): void {
  if (!outlive(error)) end(error)
}

let isStopping = false
async function stop(signal: string): Promise<void> {
  if (isStopping) return
  isStopping = true
  log.info({ signal }, 'stopping: requests under way are answered first')
  await app.close()
  log.info('stopped')
  process.exit(0)
}

async function orExit<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof InvalidEnvironment)) throw error
    return refuse(error)
  }
}

function refuse(error: InvalidEnvironment): never {
  process.stderr.write(`${withPlaces(error).message}\n`)
  process.exit(EXIT_CONFIGURATION)
}
