// Fastify with a cache: one load for everybody who waits, and the last value while the source or Redis is away.
import Fastify from 'fastify'
import { openSamovar } from 'samovar'

const app = Fastify({ logger: { level: 'warn' } })
const samovar = openSamovar({ redis: process.env.REDIS_URL, log: app.log })
await samovar.ready()
app.addHook('onClose', () => samovar.close())

const policy = { freshMs: 60_000, staleMs: 3_600_000, parse: (json) => json }
const load = async () => ({ loadedAt: new Date().toISOString() })
app.get('/', async () => {
  const { value, outcome } = await samovar.cache.getOrLoad('slow-thing', policy, load)
  return { ...value, outcome, redis: samovar.status().status }
})

await app.listen({ port: Number(process.env.PORT ?? 3000) })
process.once('SIGTERM', () => app.close())
