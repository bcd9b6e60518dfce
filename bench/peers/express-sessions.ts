// Express with express-session over connect-redis, as their READMEs set them up, and one route that says who is logged
// in.
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { host, path, port, ready } from './answer.ts'

const client = createClient({ url: process.env.REDIS_URL ?? '' })
client.on('error', () => {}) // each call tells of it
await client.connect()

const app = express()
app.use(
  session({
    store: new RedisStore({ client, prefix: 'myapp:' }),
    resave: false,
    saveUninitialized: false,
    secret: 'keyboard cat',
  }),
)
app.post('/login', (req, res) => {
  req.session.user = { id: 'telegram:42', name: 'Anna Smirnova', username: 'anna', language: 'ru' }
  res.json({})
})
app.get(path, (req, res) => void res.json({ user: req.session.user }))
app.listen(port, host, () => ready())
