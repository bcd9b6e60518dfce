// The probes of all features. Like the cached routes they have a short way, one writeHead before Express, and a long
// one for whatever is in question; both say the same, byte for byte.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Router } from 'express'
import { createFirstLines, type FirstLinesOptions, isPlain } from '../cached-routes.ts'
import { endpoint } from '../parse.ts'
import type { Probe } from './probe.ts'

const CACHE_CONTROL = ['Cache-Control', 'no-store'] as const

export interface ProbeRoutes {
  /** The long way. */
  readonly router: Router
  /** Answers the request, if it is a plain one for a probe; false: nothing has been done. */
  answer(req: IncomingMessage, res: ServerResponse): boolean
}

export function createProbeRoutes(probes: readonly Probe[], options: FirstLinesOptions): ProbeRoutes {
  const firstLines = createFirstLines(options)
  const byPath = new Map(probes.map((probe) => [probe.path, probe]))
  const router = Router()

  for (const { path, answer } of probes) {
    endpoint(router, path, {
      get(_req, res) {
        const { status, body } = answer()
        res
          .status(status)
          .set(...CACHE_CONTROL)
          .json(body)
      },
    })
  }

  return {
    router,
    answer(req, res) {
      const probe = byPath.get(req.url ?? '')
      if (!probe || req.headers['if-none-match'] !== undefined || !isPlain(req)) return false
      const { status, body } = probe.answer()
      const text = JSON.stringify(body)
      const lines = firstLines(req, res, probe.path)
      lines.push(...CACHE_CONTROL, 'Content-Type', 'application/json; charset=utf-8')
      lines.push('Content-Length', String(Buffer.byteLength(text)))
      res.writeHead(status, lines)
      res.end(req.method === 'HEAD' ? undefined : text)
      return true
    },
  }
}
