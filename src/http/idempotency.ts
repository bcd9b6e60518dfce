// Idempotency-Key: a POST that is sent again, because its answer was lost, is answered again and not done again.
// datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header
//
// The answer is held back until it is stored: status, content type and body. A body above 12 kB is not stored; its
// replay is the status alone. Failures, and answers that hold only for the moment, are not stored: the next attempt
// runs again.
import { createHash } from 'node:crypto'
import type { Request, RequestHandler, Response } from 'express'
import { defineKeys } from '../core/keys.ts'
import type { Once } from '../core/once.ts'
import { invalidInput, otherBody, requestRunning } from '../errors.ts'
import { corrupt, isNumber, isShape, isText, parseJson } from '../lib/codec.ts'

/** A request that has been done, by caller and Idempotency-Key, and its answer. */
export const idempotencyKeys = defineKeys({ idempotent: 'first-write-wins-register' })

const KEY = /^[\x21-\x7e]{1,255}$/
/** Log in first, too slow, something else is under way, too early, too often: the same request may do better later. */
const NOT_KEPT = new Set([401, 408, 409, 425, 429])
const MOST_BODY_BYTES = 12_000 // in base64, and with the rest of the answer, below what Once keeps

/** For one POST route, which then demands the header. `who` names the caller: two callers may use the same key. */
export function idempotent({
  once,
  who,
}: {
  once: Once
  who: (req: Request) => string | Promise<string>
}): RequestHandler {
  return async function answerOnce(req, res, next) {
    const id = req.headers['idempotency-key']
    if (typeof id !== 'string' || !KEY.test(id)) {
      throw invalidInput('Send an Idempotency-Key of 1 to 255 visible ASCII characters.')
    }
    // Neither may run into the other: a colon divides them.
    const key = idempotencyKeys.idempotent(encodeURIComponent(await who(req)), id)
    const held = holdAnswer(res)
    try {
      const outcome = await once.run({
        key,
        fingerprint: fingerprintOf(req),
        async work() {
          next()
          const answer = await held.ended
          if (answer.status >= 500 || NOT_KEPT.has(answer.status)) throw new NotKept()
          return encodeAnswer(answer)
        },
      })
      if (outcome.kind === 'done' && !outcome.replayed) return held.send()
      held.discard()
      if (outcome.kind === 'running') throw requestRunning(outcome.retryAfterMs)
      if (outcome.kind === 'other-body') throw otherBody()
      replay(res, decodeAnswer(outcome.answer))
    } catch (error) {
      if (error instanceof NotKept) return held.send()
      held.discard()
      throw error
    }
  }
}

class NotKept extends Error {}

interface Answer {
  readonly status: number
  readonly type: string | undefined
  readonly body: Buffer
}

/** Keeps what the route writes from going out, until it is sent or discarded. */
function holdAnswer(res: Response) {
  const own = { write: res.write, end: res.end }
  const chunks: Buffer[] = []
  let tell: (answer: Answer) => void = () => {}
  const ended = new Promise<Answer>((resolve) => {
    tell = resolve
  })
  const add = (chunk: unknown, encoding: unknown): void => {
    if (typeof chunk === 'string') chunks.push(Buffer.from(chunk, encoding as BufferEncoding | undefined))
    else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
  }
  res.write = ((chunk: unknown, encoding: unknown) => {
    add(chunk, encoding)
    return true
  }) as Response['write']
  res.end = ((chunk: unknown, encoding: unknown) => {
    add(chunk, encoding)
    const type = res.getHeader('content-type')
    tell({ status: res.statusCode, type: type?.toString(), body: Buffer.concat(chunks) })
    return res
  }) as Response['end']
  const letGo = () => Object.assign(res, own)
  return {
    ended,
    send: () => void letGo().end(Buffer.concat(chunks)),
    /** Another answer follows, with a body of another length. */
    discard: () => letGo().removeHeader('Content-Length'),
  }
}

function replay(res: Response, { status, type, body }: Answer): void {
  if (type !== undefined) res.setHeader('Content-Type', type)
  res.status(status).set('Idempotent-Replayed', 'true').end(body)
}

function encodeAnswer({ status, type, body }: Answer): Buffer {
  const kept = body.length > MOST_BODY_BYTES ? Buffer.alloc(0) : body
  return Buffer.from(JSON.stringify({ status, type, body: kept.toString('base64') }))
}

const isStored = isShape<{ status: number; type?: string; body: string }>({
  status: isNumber,
  type: (json): json is string | undefined => json === undefined || isText(json),
  body: isText,
})

function decodeAnswer(bytes: Buffer): Answer {
  const stored = parseJson(bytes, isStored)
  if (stored === corrupt) throw new Error('the stored answer of this Idempotency-Key cannot be decoded')
  const { status, type, body } = stored
  return { status, type, body: Buffer.from(body, 'base64') }
}

/** What was asked: the same key with anything else is a mistake of the caller. */
function fingerprintOf({ method, originalUrl, body }: Request): string {
  const bytes = Buffer.isBuffer(body) ? body : textOf(body)
  return createHash('sha256').update(`${method} ${originalUrl}\n`).update(bytes).digest('hex')
}

function textOf(body: unknown): string {
  try {
    return JSON.stringify(body) ?? ''
  } catch (error) {
    // JSON is parsed at any depth, but written by recursion.
    if (error instanceof RangeError) throw invalidInput('The body is nested too deeply.')
    throw error
  }
}
