// The user's own app, as far as this process runs it: its features, and what is known of its errors.
import type { Config, InvalidEnvironment, UserDir } from '../config.ts'
import { tryMigrations } from '../host/try-migrations.ts'
import type { Installed } from '../host/wiring.ts'
import { readUserFolder } from './folder.ts'
import { type LoadedFeature, loadFeatures, ownerOf, withPlaces } from './load-features.ts'
import { type LoopWatch, watchLoop } from './loop-watch.ts'
import { readServer, type UserServer } from './server.ts'

export interface UserApp {
  /** To be listed after ours. */
  readonly features: readonly Installed[]
  /** A server of the user's own, which the image runs. */
  readonly server: UserServer | undefined
  /** The same refusal, with the places in the user's files of what it names. */
  withPlaces(error: InvalidEnvironment): InvalidEnvironment
  /** Whose error it is that nobody has caught; undefined where it is not the user's. */
  ownerOf(error: unknown): { readonly feature: string; readonly place: string } | undefined
  /** Whether their tables can be made, after those of ours. @throws InvalidEnvironment */
  tryTables(ours: readonly Installed[], config: Pick<Config, 'features'>): void
  readonly watch: LoopWatch | undefined
}

const NONE: UserApp = {
  features: [],
  server: undefined,
  withPlaces: (error) => error,
  ownerOf: () => undefined,
  tryTables: () => {},
  watch: undefined,
}

/** `isWatched`: by the second thread, which writes to stdout itself. @throws InvalidEnvironment */
export async function openUserFolder(
  asked: UserDir | undefined,
  { isWatched = true } = {},
): Promise<UserApp> {
  const folder = readUserFolder(asked)
  if (!folder) return NONE
  const { dir } = folder
  const watch = isWatched && folder.features.length > 0 ? watchLoop(dir) : undefined
  const loaded: readonly LoadedFeature[] = folder.features.length > 0 ? await loadFeatures(folder) : []
  const server = folder.server === undefined ? undefined : await readServer(folder.server, dir)
  return {
    features: loaded.map(({ feature }) => feature),
    server,
    withPlaces: (error) => withPlaces(error, loaded),
    ownerOf: (error) => ownerOf(error, dir, loaded),
    tryTables(ours, config) {
      const running = [...ours, ...loaded.map(({ feature }) => feature)]
      tryMigrations(running.filter(({ name }) => config.features.has(name)))
    },
    watch,
  }
}
