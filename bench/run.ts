// npm run bench [-- name …]: runs the named benchmarks, or all, and prints their tables as Markdown.
import { availableParallelism, loadavg } from 'node:os'
import { admission } from './admission.ts'
import { calls } from './calls.ts'
import { faults } from './faults.ts'
import { growth } from './growth.ts'
import { http } from './http.ts'
import { load } from './load.ts'
import { markets } from './markets.ts'
import { createProcesses, redisVersion } from './processes.ts'
import { type Benchmark, formatReport } from './report.ts'
import { start } from './start.ts'
import { store } from './store.ts'

const benchmarks: Record<string, Benchmark> = { load, http, admission, store, markets, calls, faults }
/** Only when they are named: they need more than this repository, or many minutes. */
const onDemand: Record<string, Benchmark> = { start, growth }
const EXIT_USAGE = 64 // EX_USAGE in sysexits.h
const BUSY_LOAD = 0.7

const help = `npm run bench [-- name …]

Without a name all of them run but start, which needs an image, and growth, which takes long, in about ten minutes. Each
starts its own servers and ends them.
${Object.entries({ ...benchmarks, ...onDemand })
  .map(([name, { summary }]) => `\n  ${name.padEnd(10)}${summary}`)
  .join('')}
`

const words = process.argv.slice(2)
const unknown = words.filter((word) => !Object.hasOwn({ ...benchmarks, ...onDemand }, word))
if (words.includes('--help') || words.includes('-h')) {
  process.stdout.write(help)
} else if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark named ${unknown.join(', ')}.\n\n${help}`)
  process.exitCode = EXIT_USAGE
} else {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => process.exit(code))
  }
  await runAll(words.length > 0 ? words : Object.keys(benchmarks))
}

async function runAll(names: readonly string[]): Promise<void> {
  const [busy = 0] = loadavg()
  if (busy > BUSY_LOAD) {
    process.stderr.write(
      `Others are at work on this machine (load ${busy.toFixed(1)}): expect wide spreads.\n`,
    )
  }
  const today = new Date().toISOString().slice(0, 10)
  process.stdout.write(
    `${availableParallelism()} cores, Node ${process.versions.node}, Redis ${redisVersion()}, ${today}\n`,
  )
  for (const name of names) {
    const processes = createProcesses()
    process.once('exit', processes.close) // a signal or an exception: nothing of ours outlives us
    try {
      process.stderr.write(`${name} …\n`)
      for (const report of await (benchmarks[name] ?? onDemand[name])!.run(processes))
        process.stdout.write(formatReport(report))
    } finally {
      processes.close()
      process.off('exit', processes.close)
    }
  }
}
