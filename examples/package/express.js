// Express with sessions and a limit that stay while Redis does not.
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import session from 'express-session'
import { openSamovar } from 'samovar'
import { createRateLimitStore } from 'samovar/express-rate-limit'
import { createSessionStore } from 'samovar/express-session'

const samovar = openSamovar({ redis: process.env.REDIS_URL, dataDir: process.env.DATA_DIR })
await samovar.ready()
const app = express()
app.use(rateLimit({ limit: 100, windowMs: 60_000, store: createRateLimitStore(samovar, { name: 'pages' }) }))
const [store, secret] = [createSessionStore(samovar), process.env.SESSION_SECRET ?? 'only for trying']
app.use(session({ store, secret, resave: false, saveUninitialized: false }))
app.get('/', (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1
  res.json({ visits: req.session.visits, redis: samovar.status().status })
})
const server = app.listen(process.env.PORT ?? 3000)
process.once('SIGTERM', () => server.close(() => samovar.close()))
