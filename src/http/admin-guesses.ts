// Requests with a wrong admin token: counted for each client and in all, and logged. The token is compared first, so
// that the right one is never refused because others guessed. In this process alone: no Redis need be asked for it.
import type { Request } from 'express'
import { createOwnLimit, createOwnLimits, type Policy } from '../core/limiter.ts'
import { clientAddress } from '../lib/client-address.ts'
import { MINUTE, type Now, SECOND } from '../lib/time.ts'
import type { Log } from '../log.ts'

export const guessesOfClient = { name: 'admin-guesses', limit: 10, windowMs: MINUTE } satisfies Policy
export const guessesInAll = { name: 'all-admin-guesses', limit: 100, windowMs: MINUTE } satisfies Policy

export interface AdminGuesses {
  /**
   * Counts a request that brought no right token, once however often it is asked for. False when its client, or all
   * clients together, have guessed too often. Without any token it is no guess.
   */
  note(req: Request): boolean
  /** The same for one that brought a wrong token in a form. */
  noteToken(req: Request): boolean
}

export function createAdminGuesses({ log, now = Date.now }: { log: Log; now?: Now }): AdminGuesses {
  const noted = new WeakMap<Request, boolean>()
  const clients = createOwnLimits(guessesOfClient, now, { log })
  const all = createOwnLimit(guessesInAll, now)
  let untold: { readonly address: string; readonly requests: number } | undefined
  let timer: NodeJS.Timeout | undefined

  /** One line a second at most, with the last address of those that it counts. */
  function note(address: string): void {
    untold = { address, requests: (untold?.requests ?? 0) + 1 }
    if (!timer) tell()
  }

  function tell(): void {
    timer = undefined
    if (!untold) return
    log.warn(
      untold,
      'requests had a wrong admin token: if nobody of you sent them, somebody guesses, and ADMIN_TOKEN must be long',
    )
    untold = undefined
    timer = setTimeout(tell, SECOND).unref()
  }

  function count(req: Request): boolean {
    const address = (clientAddress(req.ip) ?? clientAddress(req.socket.remoteAddress))?.text ?? 'unknown'
    note(address)
    return clients.hit(address) && all.hit()
  }

  function noteToken(req: Request): boolean {
    const isAllowed = noted.get(req) ?? count(req)
    noted.set(req, isAllowed)
    return isAllowed
  }

  return {
    note: (req) => !/^(Bearer|Basic) +\S/i.test(req.headers.authorization ?? '') || noteToken(req),
    noteToken,
  }
}
