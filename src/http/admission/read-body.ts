// Bodies, read within the budgets: what is too much is refused before it is kept, and answered before the rest has
// come, which is not read (farewells.ts). Nothing is inflated: a small body must not become a large one.
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import express, { type Request, type RequestHandler } from 'express'
import { type AppError, bodyTooLarge, encodingUnsupported, invalidInput } from '../../errors.ts'
import { isWorthReading } from './farewells.ts'
import { underWayOf } from './under-way.ts'

const FIRST_BYTES = 4 * 1024

/** The whole body, or a refusal. */
export function readBody(req: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const { 'content-encoding': encoding = 'identity', 'content-length': declared } = req.headers
  if (encoding.toLowerCase() !== 'identity') return Promise.reject(encodingUnsupported())
  const mostBytes = declared === undefined ? limitBytes : Number(declared)
  if (mostBytes > limitBytes) return Promise.reject(bodyTooLarge(limitBytes))
  const underWay = underWayOf(req)
  return new Promise((resolve, reject) => {
    // One buffer that grows, not a list of parts: a client may send them a byte at a time, each with its overhead.
    let bytes = Buffer.alloc(0)
    let size = 0

    function stop(why?: AppError): void {
      req.off('data', take).off('end', finish).off('close', cut)
      underWay?.endBody(why === undefined)
      if (why === undefined) resolve(bytes.subarray(0, size))
      else {
        bytes = Buffer.alloc(0)
        if (isWorthReading(req)) req.resume()
        else req.pause()
        reject(why)
      }
    }

    /** Room for so much in all; the refusal where there is none. */
    function grow(needed: number): AppError | undefined {
      if (needed > limitBytes) return bodyTooLarge(limitBytes)
      if (needed <= bytes.length) return undefined
      const room = Math.min(mostBytes, Math.max(needed, 2 * bytes.length, FIRST_BYTES))
      const shortage = underWay?.keep(room - bytes.length)
      if (shortage) return shortage
      const larger = Buffer.allocUnsafeSlow(room)
      bytes.copy(larger, 0, 0, size)
      bytes = larger
      return undefined
    }

    function take(part: Buffer): void {
      const refusal = grow(size + part.length)
      if (refusal) stop(refusal)
      else size += part.copy(bytes, size)
    }

    const finish = () => stop()
    const cut = () => stop(invalidInput('The request is malformed.'))
    underWay?.beginBody(Number(declared ?? 0), stop)
    req.on('data', take).once('end', finish).once('close', cut)
  })
}

/** `req.body` as the bytes that came. */
export function rawBody(limitBytes: number): RequestHandler {
  return async function readRaw(req, _res, next) {
    req.body = await readBody(req, limitBytes)
    next()
  }
}

/** `req.body` of JSON and of forms; undefined without a body. */
export function parsedBody(limitBytes: number, mostFields: number): RequestHandler {
  const json = express.json({ limit: limitBytes })
  const form = express.urlencoded({ extended: false, limit: limitBytes, parameterLimit: mostFields })
  return async function readParsed(req, res, next) {
    const { 'content-length': declared, 'transfer-encoding': transfer } = req.headers
    if (declared === undefined && transfer === undefined) return next()
    const bytes = await readBody(req, limitBytes)
    // Express' parsers read a stream: they are given what has arrived, as a request with nothing but a body.
    const arrived = Object.assign(Readable.from(bytes.length > 0 ? [bytes] : []), { headers: req.headers })
    const parser = req.is('application/x-www-form-urlencoded') ? form : json
    await new Promise<void>((resolve, reject) => {
      parser(arrived as unknown as Request, res, (error?: unknown) => (error ? reject(error) : resolve()))
    })
    req.body = (arrived as unknown as Request).body
    next()
  }
}
