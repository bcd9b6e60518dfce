// /favicon.ico, which browsers and feed readers ask for by themselves: also where no page of ours names it.
import { fileURLToPath } from 'node:url'
import type { IRouter } from 'express'
import { DAY } from '../../lib/time.ts'
import { endpoint } from '../parse.ts'

const FILE = fileURLToPath(new URL('../static/favicon.ico', import.meta.url))

export function serveIcon(router: IRouter): void {
  endpoint(router, '/favicon.ico', {
    get: (_req, res) => res.sendFile(FILE, { maxAge: DAY }),
  })
}
