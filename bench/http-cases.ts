// What is asked for in the HTTP benchmark, and who is asked: the app, and peers that send the same bytes.
import { get } from 'node:http'
import { initDataFields, signInitData } from '../test/helpers/telegram-signer.ts'
import type { Script } from './processes.ts'

export const BOT_TOKEN = '123456789:AAEbenchbenchbenchbenchbenchbenchbenc'

export interface Peer {
  readonly name: string
  readonly script: string
}

export interface Case {
  readonly title: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Each is asked with the entity tag that it gave before, and answers 304. */
  readonly isConditional?: boolean
  /** Each with the cookie of a login of its own; then what it sends need not be the same bytes. */
  readonly isLoggedIn?: boolean
  readonly peers: readonly Peer[]
  /** Those of them that the others are compared with. */
  readonly against: readonly string[]
}

const bare = { name: 'node:http', script: 'bench/peers/bare-http.ts' }
const express = { name: 'Express 5', script: 'bench/peers/bare-express.ts' }
const fastify = { name: 'Fastify', script: 'bench/peers/fastify.ts' }
const hono = { name: 'Hono on node:http', script: 'bench/peers/hono.ts' }
const bentocache = { name: 'Express + bentocache', script: 'bench/peers/express-bentocache.ts' }
const sessions = { name: 'Express + connect-redis', script: 'bench/peers/express-sessions.ts' }

const against = [bare.name, express.name]
const fixed = [bare, express, fastify, hono]
const LIST = '/api/countries'

export const cases: readonly Case[] = [
  { title: 'the list', path: LIST, peers: [...fixed, bentocache], against },
  {
    title: 'the list, to a browser',
    path: LIST,
    headers: { 'accept-encoding': 'gzip, deflate, br' },
    peers: fixed, // which get the compressed bytes: they do not compress themselves
    against,
  },
  { title: 'the list, 304', path: LIST, isConditional: true, peers: [...fixed, bentocache], against },
  { title: 'a country', path: '/api/countries/DE', peers: [...fixed, bentocache], against },
  {
    title: 'who is logged in',
    path: '/api/me',
    isLoggedIn: true,
    peers: [sessions],
    against: [sessions.name],
  },
]

export interface Raw {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** As it is on the wire: fetch would decompress it. */
export function ask(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('end', () =>
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }),
      )
    }).on('error', reject)
  })
}

/** The cookies of a new login: of Samovar as a Mini App's, of the peer by its own route. */
export async function logIn({ port }: Script, isSamovar: boolean): Promise<string> {
  const initData = await signInitData(initDataFields(), BOT_TOKEN)
  const path = isSamovar ? '/api/auth/telegram/webapp' : '/login'
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ initData }),
  })
  if (!response.ok) throw new Error(`the login was answered with ${response.status}`)
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
}
