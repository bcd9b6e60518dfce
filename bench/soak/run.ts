// npm run soak: reads the command line and runs the soak. scripts/soak builds the image first, and cleans up even where
// this process was killed.
import { BadOptions, help, readOptions } from './options.ts'

const EXIT_USAGE = 64 // EX_USAGE in sysexits.h

async function run(words: readonly string[]): Promise<number> {
  const options = readOptions(words)
  if (options === 'help') {
    process.stdout.write(help)
    return 0
  }
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => process.exit(code))
  }
  // What starts containers reads these as it is loaded.
  process.env.SAMOVAR_IMAGE = options.image
  process.env.SAMOVAR_TEST_LABEL ??= `samovar.soak=${process.pid}`
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'
  const { soak } = await import('./soak.ts')
  const say = (line: string) =>
    void process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${line}\n`)
  return (await soak(options, say)) ? 0 : 1
}

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof BadOptions)) throw error
  process.stderr.write(`${error.message}\n\n${help}`)
  process.exitCode = EXIT_USAGE
}
