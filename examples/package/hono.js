// Hono with a limit of its own and messages to every process.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { openSamovar } from 'samovar'

const samovar = openSamovar({ redis: process.env.REDIS_URL })
await samovar.ready()
const perMinute = { name: 'hello', limit: 100, windowMs: 60_000 }
let heard = 0
await samovar.bus.subscribe('visits', { message: () => void (heard += 1), gap: () => {} })

const app = new Hono().get('/', async (c) => {
  const { allowed, remaining } = await samovar.limiter.hit(perMinute, c.req.header('x-user') ?? 'everybody')
  if (!allowed) return c.json({ error: 'too many requests' }, 429)
  await samovar.bus.publish('visits', { at: Date.now() })
  return c.json({ remaining, heard, redis: samovar.status().status })
})
const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) })
process.once('SIGTERM', () => server.close(() => samovar.close()))
