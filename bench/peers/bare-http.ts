// The limit: node:http and nothing else. Sends the bytes of a file, as JSON, whatever is asked.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const body = readFileSync(process.env.BODY_FILE ?? '')

createServer((_req, res) => {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', body.byteLength)
  res.end(body)
}).listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'))

process.on('disconnect', () => process.exit())
