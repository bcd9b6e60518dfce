// The limit: node:http and nothing else, whatever is asked.
import { createServer } from 'node:http'
import { body, etag, headers, host, isKnown, port, ready } from './answer.ts'

createServer((req, res) => {
  if (isKnown(req.headers['if-none-match'])) return void res.writeHead(304, { ETag: etag }).end()
  res.writeHead(200, headers).end(body)
}).listen(port, host, ready)
