// Whether a delivery is signed with a secret of its source. What strangers are answered does not tell which sources
// there are, and neither does the time that it takes: each scheme whose signature came is tried with as many secrets as
// the source with the most of them has, in place of those that a source lacks with ones that nobody signs with.
import { randomBytes } from 'node:crypto'
import { originOf } from '../../lib/error-origin.ts'
import { type AddressList, isPrivateAddress } from '../../lib/webhooks/address-list.ts'
import {
  badSignature,
  MOST_SIGNATURE_HEADERS,
  type Refused,
  type Signed,
  type Verdict,
  type WebhookScheme,
} from '../../lib/webhooks/webhook-scheme.ts'
import type { Log } from '../../log.ts'

/** A sender whose deliveries are accepted. */
export interface Source {
  readonly scheme: WebhookScheme
  readonly secrets: readonly string[]
  /** Where it sends from; undefined: anywhere. */
  readonly from?: AddressList | undefined
  /** Where its scheme's `confirm` asks. */
  readonly apiUrl?: URL | undefined
}

type Headers = Signed['headers']

export interface Judge {
  /**
   * Before the body is read: whether it has the header of a signature, need not have one, or is refused. The source
   * decides nothing but the reason for the log.
   */
  judgeEarly(headers: Headers, address: string | undefined, source?: Source): 'signed' | 'unsigned' | Refused
  judge(source: Source | undefined, delivery: Omit<Signed, 'secrets'>, address: string | undefined): Verdict
}

export interface JudgeParts {
  schemes: readonly WebhookScheme[]
  sources: ReadonlyMap<string, Source>
  log: Log
}

export function createJudge({ schemes, sources, log }: JudgeParts): Judge {
  const all = [...sources.values()]
  const mostSecrets = Math.max(1, ...all.map(({ secrets }) => secrets.length))
  const decoys = Array.from({ length: mostSecrets }, () => randomBytes(32).toString('base64'))
  const names = new Set(schemes.flatMap(({ signatureHeaders }) => signatureHeaders))
  const withoutHeader = all.filter(({ scheme }) => scheme.signatureHeaders.length === 0)

  const sent = (headers: Headers) => [...names].filter((name) => headers[name] !== undefined)

  /** Those by which it may be signed. */
  function candidates(headers: Headers): WebhookScheme[] {
    const given = sent(headers)
    return schemes.filter(({ signatureHeaders }) =>
      given.length === 0
        ? signatureHeaders.length === 0
        : signatureHeaders.some((name) => given.includes(name)),
    )
  }

  function tried(scheme: WebhookScheme, signed: Signed): Verdict {
    try {
      return scheme.verify(signed)
    } catch (error) {
      log.error({ problem: scheme.name, ...originOf(error) }, 'the scheme of a webhook failed')
      return badSignature('the scheme failed')
    }
  }

  return {
    judgeEarly(headers, address, source) {
      const given = sent(headers)
      // Each costs as much as another request.
      if (given.length > MOST_SIGNATURE_HEADERS) return badSignature('signature headers of several senders')
      if (given.length > 0) return 'signed'
      const isExpected = withoutHeader.some(({ from }) => from?.has(address) ?? true)
      if (isExpected) return 'unsigned'
      const needsHeader = source?.scheme.signatureHeaders.length !== 0
      return needsHeader ? badSignature('no signature header') : fromElsewhere(address)
    },
    judge(source, delivery, address) {
      const { secrets = [], scheme } = source ?? {}
      const padded = [...secrets, ...decoys].slice(0, mostSecrets)
      let verdict: Verdict = badSignature('no signature header of its scheme')
      for (const one of candidates(delivery.headers)) {
        const found = tried(one, { ...delivery, secrets: one === scheme ? padded : decoys })
        if (one === scheme) verdict = found
      }
      if (source === undefined) return badSignature('no such source')
      if (verdict.refused === 'bad_signature' || (source.from?.has(address) ?? true)) return verdict
      return fromElsewhere(address)
    },
  }
}

const fromElsewhere = (address: string | undefined) =>
  badSignature(
    isPrivateAddress(address)
      ? 'came from a private address, which is not its sender’s: see TRUST_PROXY'
      : 'came from an address that is not its sender’s',
  )
