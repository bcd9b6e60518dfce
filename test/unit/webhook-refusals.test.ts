// What a refusal of a webhook costs says nothing of the source: not whether it exists, nor its scheme, nor how many
// secrets it has.
import type { Signed } from '../../src/features/webhooks/verdict.ts'
import { judge } from '../../src/features/webhooks/webhook-routes.ts'
import type { WebhookScheme, WebhookSource } from '../../src/lib/webhook-sources.ts'

const MOST = 5
const SIGNED: Record<WebhookScheme, Record<string, string>> = {
  standard: { 'webhook-signature': 'v1,x' },
  github: { 'x-hub-signature-256': 'sha256=x' },
  telegram: { 'x-telegram-bot-api-secret-token': 'x' },
}
const schemeNames = Object.keys(SIGNED) as WebhookScheme[]

/** With how many secrets each scheme was tried. */
function triedBy(source: WebhookSource | undefined, headers: Record<string, string>) {
  const tried: Partial<Record<WebhookScheme, number>> = {}
  const trying = (scheme: WebhookScheme) => (signed: Signed) => {
    if (scheme in tried || signed.secrets.length > 0)
      tried[scheme] = (tried[scheme] ?? 0) + (isSent(scheme, headers) ? signed.secrets.length : 0)
    return { refused: 'bad_signature' } as const
  }
  const schemes = {
    standard: trying('standard'),
    github: trying('github'),
    telegram: trying('telegram'),
  }
  const delivery = { headers, body: Buffer.from('{}'), nowMs: 0, toleranceMs: 0 }
  expect(judge(source, delivery, MOST, schemes)).toEqual({ refused: 'bad_signature' })
  return Object.fromEntries(Object.entries(tried).filter(([, count]) => count > 0))
}
const isSent = (scheme: WebhookScheme, headers: Record<string, string>) =>
  Object.keys(SIGNED[scheme]).some((name) => name in headers)

const sources: [string, WebhookSource | undefined][] = [
  ['unknown', undefined],
  ...schemeNames.flatMap((scheme) =>
    [1, 2, MOST].map((count): [string, WebhookSource] => [
      `${scheme} with ${count}`,
      { scheme, secrets: Array<string>(count).fill('secret') },
    ]),
  ),
]

test.each(sources)(
  '%s: each scheme that was sent is tried with as many secrets as anybody has',
  (_, source) => {
    for (const scheme of schemeNames) expect(triedBy(source, SIGNED[scheme])).toEqual({ [scheme]: MOST })
    const all = Object.assign({}, ...Object.values(SIGNED)) as Record<string, string>
    expect(triedBy(source, all)).toEqual(Object.fromEntries(schemeNames.map((scheme) => [scheme, MOST])))
  },
)
