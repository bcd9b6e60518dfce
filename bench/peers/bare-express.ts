// The peer: one Express route without any middleware, at its quickest (`send` would hash the body for an ETag each
// time).
import express from 'express'
import { body, etag, headers, host, isKnown, path, port, ready } from './answer.ts'

const app = express()
app.get(path, (req, res) => {
  if (isKnown(req.headers['if-none-match'])) return void res.writeHead(304, { ETag: etag }).end()
  res.writeHead(200, headers).end(body)
})
app.listen(port, host, () => ready())
