// The app that is fuzzed: with a Redis of its own or none, with fake third parties, and with people who are logged in.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { features as ours } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { type AppOptions, openApp } from '../../src/host/open-app.ts'
import { recordRoutes } from '../helpers/app-routes.ts'
import { startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { BOT_TOKEN, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { freePort } from '../helpers/free-port.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { initDataFields, signInitData } from '../helpers/telegram-signer.ts'
import { fieldNames } from './field-names.ts'
import type { Parts } from './make-request.ts'

const PEOPLE = 60
const ADMIN_TOKEN = 'the-token-of-the-admin'
const WEBHOOK_SECRET = Buffer.alloc(24, 'fuzz').toString('base64')

export interface World extends Parts {
  readonly port: number
  /** Of the log, what is an error, and forgets it. */
  takeErrors(): string[]
  close(): Promise<void>
}

export async function openWorld(hasRedis: boolean, features: AppOptions['features'] = ours): Promise<World> {
  const redis = hasRedis ? await startRedis() : undefined
  const [telegram, coinGecko] = [await startFakeTelegram(), await startFakeCoinGecko()]
  const dataDir = mkdtempSync(join(tmpdir(), 'samovar-fuzz-'))
  const { log, lines } = recordLog()
  const env = {
    PORT: String(await freePort()),
    DATA_DIR: dataDir,
    REDIS_URL: redis?.url ?? 'off',
    REDIS_BUDGET_MS: '10000',
    TRUST_PROXY: '1',
    ADMIN_TOKEN,
    WEBHOOK_SECRETS: `payments=whsec_${WEBHOOK_SECRET},repo:github=a-secret-of-the-repository`,
    COINGECKO_CALLS_PER_MINUTE: '1000',
    ...telegram.env,
    ...coinGecko.env,
  }
  const config = readConfig(features, env, false)
  const { result: app, routes } = recordRoutes(() => openApp({ features, config, log }))
  const port = await app.listen()
  const url = `http://127.0.0.1:${port}`
  const sockets = new Set<string>()
  for (const { method, path } of routes()) {
    if (method !== 'GET' || path.includes(':')) continue
    const response = await fetch(url + path, {
      redirect: 'manual',
      headers: { 'x-forwarded-for': '2001:db8:ffff::1' },
    })
    await response.arrayBuffer()
    if (response.status === 426) sockets.add(path)
  }
  const cookies = await Promise.all(Array.from({ length: PEOPLE }, (_, i) => logIn(url, i)))
  return {
    port,
    routes: routes(),
    sockets,
    names: fieldNames(),
    insiders: { cookies, adminToken: ADMIN_TOKEN, webhookSecret: WEBHOOK_SECRET },
    takeErrors() {
      const errors = lines.filter(({ level }) => level === 'error' || level === 'fatal')
      lines.length = 0
      return errors.map(({ message, fields }) =>
        `${message} ${(fields.err as Error | undefined)?.stack ?? ''}`.trim(),
      )
    },
    async close() {
      await app.close()
      await Promise.all([telegram.close(), coinGecko.close(), redis?.stop()])
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function logIn(url: string, i: number): Promise<string> {
  const user = JSON.stringify({ id: 1_000 + i, first_name: `User ${i}` })
  const response = await fetch(`${url}/api/auth/telegram/webapp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': `2001:db8:ffff:${i}::1` },
    body: JSON.stringify({ initData: await signInitData(initDataFields({ user }), BOT_TOKEN) }),
  })
  if (response.status !== 200) throw new Error(`cannot log in: ${response.status} ${await response.text()}`)
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
}
