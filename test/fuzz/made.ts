// What a request of the fuzzer is: bytes, and what is known of them that decides what may be answered.
import type { RawRequest } from '../helpers/raw-request.ts'

/** What a caller can prove. Each is in a request as it should be, or not at all as far as `MadeRequest.proofs` says. */
export type Proof = 'user' | 'admin' | 'signature'

export interface MadeRequest extends RawRequest {
  readonly index: number
  readonly method: string
  readonly target: string
  readonly headers: readonly [name: string, value: string][]
  readonly body: Buffer
  readonly proofs: ReadonlySet<Proof>
  /** Each is a reason to refuse it whoever sends it. */
  readonly wrong: readonly string[]
  /** What is sent on the socket where it is opened. */
  readonly frames: Buffer | undefined
}

/** Those who have a right to something, for the half of the requests that does not stop at the first check. */
export interface Insiders {
  readonly cookies: readonly string[]
  readonly adminToken: string
  readonly webhookSecret: string
}
