// What the container has acknowledged, and what was found to be wrong.

export type Kind =
  | 'logged out'
  | 'logout undone'
  | 'another person'
  | 'login used twice'
  | 'handled twice'
  | 'delivery lost'
  | 'alert lost'
  | 'alert came back'
  | 'over a limit'
  | 'refused too early'
  | 'cleared value served'
  | 'unnamed failure'
  | 'unexpected answer'
  | 'no answer'
  | 'too slow'
  | 'not back'
  | 'bug in the log'
  | 'memory grows'
  | 'descriptors grow'

/** One thing that must not happen. */
export interface Wrong {
  readonly kind: Kind
  readonly words: string
}

export interface Violation extends Wrong {
  readonly atMs: number
  /** Which fault was the last one before it, and when. */
  readonly after: string
}

/** `leaving`: a logout was sent and not acknowledged, so that either is right. */
export interface Login {
  readonly number: number
  readonly userId: string
  readonly cookie: string
  /** The signed fields, to be sent once more. */
  readonly fields: Readonly<Record<string, string>>
  readonly sentAtMs: number
  state: 'in' | 'leaving' | 'out'
}

export interface Person {
  readonly userId: string
  readonly logins: Login[]
  readonly alerts: Map<string, 'there' | 'leaving' | 'gone'>
  /** Alerts that were asked for without an answer: so many more may be there. */
  unsureAlerts: number
  /** Resolves when nobody acts for this person: they do one thing at a time, so that its order is known. */
  turn: Promise<unknown>
}

export interface Delivery {
  readonly id: string
  readonly body: string
  isAcknowledged: boolean
  /** 0 when its first answer was that it had been done before. */
  acknowledgedAtMs: number
}

export interface Hit {
  readonly sentAtMs: number
  readonly receivedAtMs: number
  readonly outcome: 'allowed' | 'refused' | 'unknown'
}

export interface Limited {
  readonly name: string
  readonly who: string
  readonly limit: number
  readonly windowMs: number
  readonly hits: Hit[]
}

export interface Ledger {
  readonly people: Person[]
  readonly deliveries: Map<string, Delivery>
  readonly limits: Map<string, Limited>
  /** When the last acknowledged clear of prices was sent. */
  clearedAtMs: number
  readonly clears: { acknowledged: number }
  readonly violations: Violation[]
  /** Once for each subject: a check finds the same thing again and again. */
  add(wrong: Wrong | undefined, subject?: string): void
}

/** `describe` gives the faults before a violation; `tell` is called with each violation as it is found. */
export function createLedger(describe: () => string, tell: (found: Violation) => void = () => {}): Ledger {
  const known = new Set<string>()
  const ledger: Ledger = {
    people: [],
    deliveries: new Map(),
    limits: new Map(),
    clearedAtMs: 0,
    clears: { acknowledged: 0 },
    violations: [],
    add(wrong, subject = String(known.size)) {
      if (!wrong) return
      const name = `${wrong.kind}: ${subject}`
      if (known.has(name)) return
      known.add(name)
      const found = { ...wrong, atMs: Date.now(), after: describe() }
      ledger.violations.push(found)
      tell(found)
    },
  }
  return ledger
}

/** Does it when nobody else acts for this person. */
export function inTurn<T>(person: Person, work: () => Promise<T>): Promise<T> {
  const done = person.turn.then(work)
  person.turn = done.catch(() => {})
  return done
}

export function limitOf(
  ledger: Ledger,
  name: string,
  who: string,
  policy: { limit: number; windowMs: number },
) {
  const key = `${name} ${who}`
  const limited = ledger.limits.get(key) ?? { name, who, ...policy, hits: [] }
  ledger.limits.set(key, limited)
  return limited
}
