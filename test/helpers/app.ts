// The whole app on a free port, with a data directory of its own.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { features as ours } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { openApp } from '../../src/host/open-app.ts'
import type { Environment } from '../../src/variables.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { recordLog } from './log.ts'

/** For an app whose Redis must never be too slow: on a busy machine memory would answer, rightly, and otherwise. */
export const PATIENCE = { REDIS_BUDGET_MS: '10000' }

/** Tests tell their visitors apart as a proxy would. */
export const AS_PROXY = { TRUST_PROXY: '1' }

export interface TestApp {
  readonly url: string
  readonly dataDir: string
  readonly lines: ReturnType<typeof recordLog>['lines']
  get(path: string, init?: RequestInit): Promise<Response>
  stats(): Promise<Record<string, unknown> & { status: string }>
  untilStatus(status: 'redis' | 'memory'): Promise<void>
  /** Redis has everything: nothing that it was too slow for waits to be merged. */
  untilSettled(): Promise<void>
  close(): Promise<void>
}

export async function startApp(env: Environment, features = ours): Promise<TestApp> {
  const port = await freePort()
  const dataDir = env.DATA_DIR ?? mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const { log, lines } = recordLog()
  const config = readConfig(features, { PORT: String(port), DATA_DIR: dataDir, ...AS_PROXY, ...env }, false)
  const app = openApp({ features, config, log })
  const url = `http://127.0.0.1:${await app.listen()}`
  const authorization = env.ADMIN_TOKEN ? { authorization: `Bearer ${env.ADMIN_TOKEN}` } : {}
  const stats = async () =>
    (await (await fetch(`${url}/api/cache/stats`, { headers: authorization })).json()) as { status: string }
  return {
    url,
    dataDir,
    lines,
    get: (path, init) => fetch(url + path, init),
    stats,
    untilStatus: (status) =>
      eventually(async () => expect(await stats()).toMatchObject({ status })) as Promise<void>,
    untilSettled: () =>
      eventually(async () =>
        expect(await stats()).toMatchObject({ status: 'redis', fallback: { pendingWrites: 0 } }),
      ) as Promise<void>,
    async close() {
      await app.close()
      if (!env.DATA_DIR) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
