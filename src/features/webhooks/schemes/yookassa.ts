// YooKassa: nothing is signed. A notification counts if it comes from an address of YooKassa, and if its API says the
// same of the payment. yookassa.ru/developers/using-api/webhooks, "Проверка подлинности уведомлений"
import { corrupt, type Guard, isShape, isText, parseJson } from '../../../lib/codec.ts'
import {
  badSignature,
  type Confirmation,
  defineScheme,
  type SenderApi,
} from '../../../lib/webhooks/webhook-scheme.ts'

/** Where the API has what an event is about. */
const PATHS: Readonly<Record<string, string>> = {
  payment: 'payments',
  refund: 'refunds',
  payout: 'payouts',
  deal: 'deals',
  payment_method: 'payment_methods',
}
/** A state is left only for one to the right; those in the last place are final. */
const ORDER = [
  ['pending'],
  ['waiting_for_capture'],
  ['opened', 'active'],
  ['succeeded', 'canceled', 'closed'],
]
const SECRET = /^(\w{1,32}):([\x21-\x7e]{8,})$/
const ID = /^[\w-]{1,64}$/

export const yookassa = defineScheme({
  name: 'yookassa',
  signatureHeaders: [],
  addresses: [
    ...['185.71.76.0/27', '185.71.77.0/27', '77.75.153.0/25', '77.75.156.11', '77.75.156.35'],
    ...['77.75.154.128/25', '2a02:5180::/32'],
  ],
  apiUrl: 'https://api.yookassa.ru/v3/',
  checkSecret: (secret) =>
    SECRET.test(secret) ? undefined : 'needs the id and the secret key of the shop, as in 12345:live_…',
  verify: ({ body }) => (noticeIn(body) ? {} : badSignature('body is no notification of YooKassa')),
  idOf({ body }) {
    const notice = noticeIn(body)
    return notice && `${notice.event}.${notice.object.id}`
  },
  sameBy: 'id',
  async confirm({ body, secrets }, api) {
    const notice = noticeIn(body)
    if (!notice) return badSignature('body is no notification of YooKassa')
    let last: Confirmation = badSignature(REFUSED)
    for (const secret of secrets) {
      last = await askWith(secret, notice, api)
      if ('confirmed' in last || last.reason !== REFUSED) break
    }
    return last
  },
  // Anything else counts as not delivered, 204 too.
  answer: { status: 200 },
})

interface Notice {
  readonly event: string
  readonly object: Known
}

interface Known {
  readonly id: string
  readonly status: string
  readonly amount?: { readonly value: string; readonly currency: string }
}

const isAmount = isShape<{ value: string; currency: string }>({ value: isText, currency: isText })
const isKnown: Guard<Known> = (json): json is Known =>
  isShape<{ id: string; status: string }>({ id: isText, status: isText })(json) &&
  ((json as Known).amount === undefined || isAmount((json as Known).amount))
const isNotice = isShape<Notice & { type: string }>({ type: isText, event: isText, object: isKnown })

function noticeIn(body: Buffer): (Notice & { readonly path: string }) | undefined {
  const notice = parseJson(body, isNotice)
  if (notice === corrupt || notice.type !== 'notification' || !ID.test(notice.object.id)) return undefined
  const [kind = '', status, ...rest] = notice.event.split('.')
  const path = Object.hasOwn(PATHS, kind) ? PATHS[kind] : undefined
  const isWhole = path !== undefined && rest.length === 0 && status === notice.object.status
  return isWhole ? { ...notice, path } : undefined
}

const REFUSED = 'the API refuses the key of the shop'

async function askWith(
  secret: string,
  { path, object }: { path: string; object: Known },
  api: Pick<SenderApi, 'get'>,
): Promise<Confirmation> {
  const authorization = `Basic ${Buffer.from(secret).toString('base64')}`
  const { status, json } = await api.get(`${path}/${object.id}`, { authorization })
  if (status === 401 || status === 403) return badSignature(REFUSED)
  if (status === 404) return badSignature('the API does not know it')
  if (status !== 200 || !isKnown(json)) throw new TypeError('an answer of the API that is none')
  return agrees(object, json) ? { confirmed: json } : badSignature('the API says otherwise')
}

/** What the notification says is so; or it was so before, when the amount may have been another. */
function agrees(said: Known, known: Known): boolean {
  if (said.id !== known.id) return false
  if (said.status !== known.status) return placeOf(said) >= 0 && placeOf(said) < placeOf(known)
  return (
    said.amount === undefined ||
    (said.amount.value === known.amount?.value && said.amount.currency === known.amount.currency)
  )
}

const placeOf = ({ status }: Known) => ORDER.findIndex((states) => states.includes(status))
