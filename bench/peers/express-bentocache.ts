// Express with bentocache in front of a source, as the documentations of both begin: memory before Redis with its bus,
// and res.json, which serializes and hashes for each answer.
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import express from 'express'
import { body, host, path, port, ready } from './answer.ts'

const { hostname, port: redisPort } = new URL(process.env.REDIS_URL ?? '')
const connection = { host: hostname, port: Number(redisPort) }
const bento = new BentoCache({
  default: 'cache',
  stores: {
    cache: bentostore()
      .useL1Layer(memoryDriver({ maxSize: '10mb' }))
      .useL2Layer(redisDriver({ connection }))
      .useBus(redisBusDriver({ connection })),
  },
})

const app = express()
app.get(path, async (_req, res) => {
  const value = await bento.getOrSet({
    key: path,
    ttl: '1h',
    factory: async () => JSON.parse(body.toString()),
  })
  res.json(value)
})
app.listen(port, host, () => ready())
