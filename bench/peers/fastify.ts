// Fastify as its documentation begins with it: one route, no plugins, no log.
import fastify from 'fastify'
import { body, etag, headers, host, isKnown, path, port, ready } from './answer.ts'

const app = fastify()
app.get(path, (request, reply) => {
  if (isKnown(request.headers['if-none-match'])) return reply.code(304).header('ETag', etag).send()
  return reply.headers(headers).send(body)
})
await app.listen({ port, host })
ready()
