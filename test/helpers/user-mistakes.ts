// Starts the app with each of the folders in ASKED, one after the other in this process, and prints the sentences with
// which the starts are refused: what src/main.ts and src/cli/embedded.ts do, without a process for each.
import { features as ours } from '../../src/app.ts'
import { InvalidEnvironment, readConfig } from '../../src/config.ts'
import { openApp } from '../../src/host/open-app.ts'
import { createLog } from '../../src/log.ts'
import { openUserFolder } from '../../src/user/open-user-folder.ts'

interface Asked {
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
}

const log = createLog({ level: 'silent', format: 'json' })

async function sentencesFor({ dir, env }: Asked): Promise<readonly string[]> {
  let withPlaces = (error: InvalidEnvironment) => error
  let app: ReturnType<typeof openApp> | undefined
  try {
    const user = await openUserFolder({ dir, mustBe: true }, { isWatched: false })
    withPlaces = user.withPlaces
    const features = [...ours, ...user.features]
    const config = readConfig(features, { ...process.env, PORT: '8080', ...env })
    user.tryTables(ours, config)
    app = openApp({ features, config: { ...config, port: 0 }, log })
    await app.listen()
    return []
  } catch (error) {
    if (!(error instanceof InvalidEnvironment)) throw error
    return withPlaces(error).problems
  } finally {
    await app?.close()
  }
}

const found: (readonly string[])[] = []
for (const asked of JSON.parse(process.env.ASKED ?? '[]') as Asked[]) found.push(await sentencesFor(asked))
console.log(JSON.stringify(found))
process.exit()
