// What must not happen, judged from what the ledger knows and what was observed. Pure, so that
// test/unit/soak-judge.test.ts can show each of them an observation that must not pass.
import type { Delivery, Hit, Limited, Login, Person, Wrong } from './ledger.ts'

/** 5xx that are answers: the words by which the app says that it cannot say yes right now. */
const NAMED = ['state_full', 'state_unknown', 'handing_over', 'overloaded']
/** And those of a container, or an app, that is being stopped or has just begun. */
const NAMED_IN_A_GAP = ['stopping', 'records_unavailable']

const wrong = (kind: Wrong['kind'], words: string): Wrong => ({ kind, words })

/** `userId` as /api/me said it. */
export function judgeLogin(
  login: Login,
  seen: { status: number; userId?: string | undefined },
): Wrong | undefined {
  const who = `login ${login.number} of ${login.userId}`
  if (seen.status === 200 && seen.userId !== login.userId)
    return wrong('another person', `${who} is ${seen.userId}`)
  if (login.state === 'in' && seen.status === 401)
    return wrong('logged out', `${who} is logged in, and was answered 401`)
  if (login.state === 'out' && seen.status === 200)
    return wrong('logout undone', `${who} had ended, and was answered 200`)
  return undefined
}

/** A signed login that was acknowledged, sent once more. */
export function judgeUsedLogin(login: Login, seen: { status: number }): Wrong | undefined {
  if (seen.status !== 200) return undefined
  return wrong('login used twice', `the signed login ${login.number} of ${login.userId} was taken again`)
}

/** An answer to a delivery; `isReplay` when the container says that it was done before. */
export function judgeDelivery(
  delivery: Delivery,
  seen: { status: number; isReplay: boolean },
): Wrong | undefined {
  const isFresh = seen.status < 300 && !seen.isReplay
  if (!isFresh || !delivery.isAcknowledged) return undefined
  return wrong('handled twice', `${delivery.id} was acknowledged, and handled again`)
}

/** The ids that the admin sees, newest first, and those acknowledged before that must be among them. */
export function judgeListed(listed: readonly string[], expected: readonly string[]): Wrong[] {
  const twice = listed.filter((id, i) => listed.indexOf(id) !== i)
  const lost = expected.filter((id) => !listed.includes(id))
  return [
    ...twice.map((id) => wrong('handled twice', `${id} is twice among the deliveries`)),
    ...lost.map((id) => wrong('delivery lost', `${id} was acknowledged, and is not among the deliveries`)),
  ]
}

export function judgeAlerts(person: Person, found: readonly string[]): Wrong[] {
  const known = [...person.alerts]
  const lost = known.filter(([id, state]) => state === 'there' && !found.includes(id))
  const back = known.filter(([id, state]) => state === 'gone' && found.includes(id))
  const strangers = found.filter((id) => !person.alerts.has(id))
  return [
    ...lost.map(([id]) => wrong('alert lost', `${id} of ${person.userId} is not there`)),
    ...back.map(([id]) => wrong('alert came back', `${id} of ${person.userId} was deleted`)),
    ...strangers
      .slice(person.unsureAlerts)
      .map((id) => wrong('alert came back', `${id} of ${person.userId} is nobody's`)),
  ]
}

/**
 * More allowed hits than the limit that were all sent and answered within one window, so that they fell into one window
 * of the container's clock as well.
 */
export function judgeOverLimit({ name, who, limit, windowMs, hits }: Limited): Wrong | undefined {
  const allowed = hits.filter(({ outcome }) => outcome === 'allowed')
  for (const { sentAtMs } of allowed) {
    const most = allowed.filter(
      (hit) => hit.sentAtMs >= sentAtMs && hit.receivedAtMs < sentAtMs + windowMs,
    ).length
    if (most > limit)
      return wrong('over a limit', `${name} of ${who}: ${most} hits within ${windowMs} ms, not ${limit}`)
  }
  return undefined
}

/** Refused, although fewer hits than the limit can have been in the window. */
export function judgeEarly({ name, who, limit, windowMs, hits }: Limited, refused: Hit): Wrong | undefined {
  const counted = hits.filter(
    (hit) =>
      hit !== refused &&
      hit.outcome !== 'refused' &&
      hit.sentAtMs <= refused.receivedAtMs &&
      hit.receivedAtMs >= refused.sentAtMs - windowMs,
  ).length
  if (refused.outcome !== 'refused' || counted >= limit) return undefined
  return wrong('refused too early', `${name} of ${who}: after ${counted} hits in the window, not ${limit}`)
}

/** A price that was read after a clear was acknowledged, and was fetched before that clear was sent. */
export function judgeCleared(fetchedAtMs: number, clearedAtMs: number): Wrong | undefined {
  if (fetchedAtMs >= clearedAtMs) return undefined
  return wrong('cleared value served', `a price fetched ${clearedAtMs - fetchedAtMs} ms before the clear`)
}

export interface SeenAnswer {
  readonly name: string
  /** Undefined when there was none. */
  readonly status: number | undefined
  readonly code: string | undefined
  readonly expected: readonly number[]
  /** The fault during which nobody may be there to answer, if there was one. */
  readonly gap: string | undefined
  /** What the client saw in place of an answer. */
  readonly failure?: string
}

export function judgeAnswer({ name, status, code, expected, gap, failure }: SeenAnswer): Wrong | undefined {
  if (status === undefined) return gap === undefined ? wrong('no answer', `${name}: ${failure}`) : undefined
  if (expected.includes(status)) return undefined
  if (status < 500) return wrong('unexpected answer', `${name}: ${status} ${code ?? ''}`)
  if (code !== undefined && NAMED.includes(code)) return undefined
  if (code !== undefined && gap !== undefined && NAMED_IN_A_GAP.includes(code)) return undefined
  return wrong('unnamed failure', `${name}: ${status} ${code ?? ''}`)
}
