// Start and stop: the only side effects at import, and the only process.exit.
import { features } from './app.ts'
import { InvalidEnvironment, readConfig } from './config.ts'
import { openApp } from './host/open-app.ts'
import { portProblem } from './lib/environment/port-problem.ts'
import { createLog } from './log.ts'

const EXIT_CONFIGURATION = 78 // EX_CONFIG in sysexits.h: pm2 and the guard do not try again

const config = orExit(() => readConfig(features))
const log = createLog(config.log)
for (const warning of config.warnings) log.warn(warning)

process.once('uncaughtException', (error) => {
  log.fatal({ err: error }, 'unexpected error: the app exits and is restarted (please report it)')
  process.exit(1)
})

const app = orExit(() => openApp({ features, config, log }))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))

try {
  const port = await app.listen()
  log.info({ port, mode: config.mode }, `listening on port ${port}`)
  process.send?.('ready')
} catch (error) {
  const problem = portProblem(config.port, (error as NodeJS.ErrnoException).code)
  if (problem === undefined) throw error
  log.fatal(problem)
  process.exit(EXIT_CONFIGURATION)
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

function orExit<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof InvalidEnvironment)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(EXIT_CONFIGURATION)
  }
}
