// The peer: one Express route without any middleware, at its quickest (`send` would hash the body for an ETag each
// time). Sends the bytes of a file, as JSON.
import { readFileSync } from 'node:fs'
import express from 'express'

const body = readFileSync(process.env.BODY_FILE ?? '')

const app = express()
app.get(process.env.ROUTE ?? '/', (_req, res) => {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', body.byteLength)
  res.end(body)
})
app.listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'))

process.on('disconnect', () => process.exit())
