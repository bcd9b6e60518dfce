// Asks a sender's API before a delivery counts, for schemes that have nothing signed.
import { z } from 'zod'
import { senderUnavailable } from '../../errors.ts'
import { FetchFailed, type JsonFetcher } from '../../http/fetch-json.ts'
import { originOf } from '../../lib/error-origin.ts'
import type { Confirmation, SenderApi, Signed } from '../../lib/webhooks/webhook-scheme.ts'
import type { Log } from '../../log.ts'
import type { Source } from './judge.ts'

export type Confirm = (
  source: Source & { name: string },
  delivery: Omit<Signed, 'secrets'>,
) => Promise<Confirmation>

export interface ConfirmParts {
  fetchJson: JsonFetcher['fetchJson']
  log: Log
}

/** Rejects with `sender_unavailable` where the API does not answer as it should: the sender comes again. */
export function createConfirm({ fetchJson, log }: ConfirmParts): Confirm {
  const apiAt = (base: URL): SenderApi => ({
    async get(path, headers = {}) {
      const url = new URL(path, base)
      if (url.origin !== base.origin) throw new TypeError('a path of the API that leads elsewhere')
      try {
        return { status: 200, json: await fetchJson({ url, headers, schema: z.unknown() }) }
      } catch (error) {
        if (!(error instanceof FetchFailed) || error.reason !== 'status') throw error
        const { status = 500 } = error
        if (status >= 500 || status === 429) throw error
        return { status, json: undefined }
      }
    },
  })

  return async function confirm({ name, scheme, secrets, apiUrl }, delivery) {
    if (!scheme.confirm || !apiUrl) return { confirmed: undefined }
    try {
      return await scheme.confirm({ ...delivery, secrets }, apiAt(apiUrl))
    } catch (error) {
      // An answer's text may hold what is nobody's business: the kind of the failure is enough.
      const why = error instanceof FetchFailed ? { reason: error.message } : originOf(error)
      log.warn({ source: name, ...why }, 'the API of the sender of a webhook does not answer as it should')
      throw senderUnavailable({ cause: error })
    }
  }
}
