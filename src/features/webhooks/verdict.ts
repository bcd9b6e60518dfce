// What a signature scheme says of a delivery. A scheme is a pure function: no request, no clock, no environment.

export interface Signed {
  /** As Node gives them: names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The body as it came, byte by byte. */
  readonly body: Buffer
  /** Each of them is good. */
  readonly secrets: readonly string[]
  readonly nowMs: number
  readonly toleranceMs: number
}

export type Verdict =
  /** Who sent it knows a secret; the id is the same each time it is sent. */
  | {
      readonly id: string
      /** When it was sent this time, if that is signed. */
      readonly sentAtMs?: number
    }
  | { readonly refused: 'bad_signature' | 'outside_tolerance' | 'no_id' }

/** The header; empty when it is not there. */
export function headerOf({ headers }: Signed, name: string): string {
  const value = headers[name]
  return typeof value === 'string' ? value : ''
}
