// The routes of the app, as Express knows them: a route that a feature adds is in the list by itself. Also a program:
// it prints them as JSON.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { features as ours } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { type AppOptions, openApp } from '../../src/host/open-app.ts'
import { recordLog } from './log.ts'

export interface AppRoute {
  /** `ALL` for what Express passes on whatever the method: files and pages of others, below that path. */
  readonly method: string
  readonly path: string
}

interface Registered {
  readonly path: unknown
  readonly methods: Readonly<Record<string, boolean>>
}

/** Runs the work and tells what routes it has registered meanwhile. */
export function recordRoutes<T>(work: () => T): { result: T; routes: () => AppRoute[] } {
  const registered: Registered[] = []
  const mounted = new Set<string>()
  const prototype = express.Router.prototype as {
    route(path: unknown): Registered
    use(...words: unknown[]): unknown
  }
  const { route, use } = prototype
  prototype.route = function record(path) {
    const made = route.call(this, path)
    registered.push(made)
    return made
  }
  prototype.use = function record(...words) {
    if (typeof words[0] === 'string' && words[0] !== '/') mounted.add(words[0])
    return use.apply(this, words)
  }
  try {
    const result = work()
    return { result, routes: () => listOf(registered, mounted) }
  } finally {
    Object.assign(prototype, { route, use })
  }
}

function listOf(registered: readonly Registered[], mounted: ReadonlySet<string>): AppRoute[] {
  const routes = new Map<string, AppRoute>()
  const add = (method: string, path: string) => routes.set(`${method} ${path}`, { method, path })
  for (const { path, methods } of registered) {
    const names = Object.keys(methods).filter((name) => name !== '_all')
    // Those of `app.route().all()` are each there by name: they are refused, but for the one that was given.
    const own = names.length > 10 ? ['get'] : names
    for (const name of own) if (typeof path === 'string') add(name.toUpperCase(), path)
  }
  for (const path of mounted) add('ALL', path)
  return [...routes.values()]
}

/** Everything that can be switched on, so that every route is there. */
export const FULL_ENV = {
  ADMIN_TOKEN: 'the-token-of-the-admin',
  TELEGRAM_BOT_TOKEN: '123456:a-token_of-the-tests',
  WEBHOOK_SECRETS: `payments=whsec_${Buffer.from('a secret of twenty-four b').toString('base64')},repo:github=a-secret-of-the-repository`,
}

/** Those of an app that is opened for this alone, and never listens. */
export async function routesOfApp(features: AppOptions['features'] = ours): Promise<AppRoute[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'samovar-routes-'))
  const env = { ...FULL_ENV, REDIS_URL: 'off', DATA_DIR: dataDir }
  const config = readConfig(features, env, false)
  const { result, routes } = recordRoutes(() => openApp({ features, config, log: recordLog().log }))
  await result.close()
  rmSync(dataDir, { recursive: true, force: true })
  return routes()
}

if (process.argv[1]?.endsWith('app-routes.ts')) console.log(JSON.stringify(await routesOfApp()))
