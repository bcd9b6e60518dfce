// Hono on node:http by its own adapter, as its documentation begins with it: one route, no middleware.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { body, etag, headers, host, isKnown, path, port, ready } from './answer.ts'

const app = new Hono()
const bytes = new Uint8Array(body)
app.get(path, (c) =>
  isKnown(c.req.header('if-none-match')) ? c.body(null, 304, { ETag: etag }) : c.body(bytes, 200, headers),
)
serve({ fetch: app.fetch, port, hostname: host }, () => ready())
