// What a scheme says of a delivery, in one: as the app asks it.
import type { Signed, WebhookScheme } from '../../src/lib/webhooks/webhook-scheme.ts'

export function judged(scheme: WebhookScheme, signed: Signed) {
  const verdict = scheme.verify(signed)
  if (verdict.refused !== undefined) return { refused: verdict.refused }
  const id = scheme.idOf(signed)
  return id === undefined ? { refused: 'no_id' as const } : { id, ...verdict }
}
