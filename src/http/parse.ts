// What comes from outside is parsed here once, and trusted from then on.
import type { IRouter, RequestHandler } from 'express'
import type { z } from 'zod'
import { invalidInput, methodNotAllowed, notJson } from '../errors.ts'
import { isOfOwnPage } from './security.ts'

const MOST_PROBLEMS = 10

/** The value as the schema makes it, or 400 with what is wrong with it: the first ten things. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues
    .slice(0, MOST_PROBLEMS)
    .map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
  throw invalidInput(problems.join('; '))
}

/** Registers an endpoint; any method that is not given is answered 405 with `Allow`. */
export function endpoint(
  router: IRouter,
  path: string,
  methods: Partial<Record<'get' | 'post' | 'patch' | 'delete', RequestHandler | RequestHandler[]>>,
): void {
  const route = router.route(path)
  if (methods.get) route.get(methods.get)
  if (methods.post) route.post(methods.post)
  if (methods.patch) route.patch(methods.patch)
  if (methods.delete) route.delete(methods.delete)
  const names = [
    methods.get && 'GET, HEAD',
    methods.post && 'POST',
    methods.patch && 'PATCH',
    methods.delete && 'DELETE',
  ]
  const allowed = names.filter(Boolean).join(', ')
  route.all(() => {
    throw methodNotAllowed(allowed)
  })
}

/**
 * Refuses a body that is not JSON, rather than taking it for an empty one. A form of our own pages is accepted as well;
 * its fields are texts, or lists of texts.
 */
export const onlyJsonOrOwnForm: RequestHandler = (req, _res, next) => {
  const hasBody =
    Number(req.headers['content-length'] ?? 0) > 0 || req.headers['transfer-encoding'] !== undefined
  const isForm = req.is('application/x-www-form-urlencoded') && isOfOwnPage(req)
  if (hasBody && !isForm && !req.is(['application/json', 'application/*+json'])) throw notJson()
  next()
}
