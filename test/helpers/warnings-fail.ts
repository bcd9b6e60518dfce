// Where the tests run: Node, in which a warning of the process fails the file of tests that was running. Not a setup
// file: the process that a test sees is a copy, which is told of none, and what closes after the last test may warn,
// too.
import { TestEnvironment } from 'jest-environment-node'

/** ExperimentalWarning: Node's own word about what it is made of (vm modules, SQLite). */
const NOT_OURS = ['ExperimentalWarning']

// biome-ignore lint/style/noDefaultExport: jest takes an environment from the default export.
export default class WarningsFail extends TestEnvironment {
  readonly #warnings: Error[] = []
  readonly #note = (warning: Error) => void (NOT_OURS.includes(warning.name) || this.#warnings.push(warning))

  override async setup(): Promise<void> {
    await super.setup()
    process.on('warning', this.#note)
  }

  /** The last event of a file, after its hooks: what is added to the errors then still fails it. */
  async handleTestEvent({ name }: { name: string }, state: { unhandledErrors: unknown[] }): Promise<void> {
    if (name !== 'run_finish') return
    await new Promise(setImmediate) // a warning comes a tick after its cause
    state.unhandledErrors.push(...this.#warnings)
  }

  override async teardown(): Promise<void> {
    process.off('warning', this.#note)
    await super.teardown()
  }
}
