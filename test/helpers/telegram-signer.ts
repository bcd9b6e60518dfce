// Signs as Telegram does, written apart from the code under test: the check string by hand, WebCrypto instead of
// node:crypto. What both agree on, and the published vectors, is what Telegram documents.

const utf8 = (text: string) => new TextEncoder().encode(text)
const hex = (bytes: ArrayBuffer) => Buffer.from(bytes).toString('hex')

async function hmac(key: Uint8Array, text: string): Promise<ArrayBuffer> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const imported = await crypto.subtle.importKey('raw', new Uint8Array(key), algorithm, false, ['sign'])
  return crypto.subtle.sign('HMAC', imported, utf8(text))
}

function checkString(fields: Readonly<Record<string, string>>): string {
  let text = ''
  for (const name of Object.keys(fields).sort()) text += `${text && '\n'}${name}=${fields[name]}`
  return text
}

/** The fields of the legacy widget with their hash. */
export async function signWidget(
  fields: Record<string, string>,
  token: string,
): Promise<Record<string, string>> {
  const secret = new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(token)))
  return { ...fields, hash: hex(await hmac(secret, checkString(fields))) }
}

/** A Mini App's initData. */
export async function signInitData(fields: Record<string, string>, token: string): Promise<string> {
  const secret = new Uint8Array(await hmac(utf8('WebAppData'), token))
  return new URLSearchParams({ ...fields, hash: hex(await hmac(secret, checkString(fields))) }).toString()
}

export const seconds = (ms = Date.now()) => String(Math.floor(ms / 1_000))

/** One person, as the widget and as initData tell of them; signed now unless said. */
export const widgetFields = (extra: Record<string, string> = {}) => ({
  id: '42',
  first_name: 'Anna',
  last_name: 'Smirnova',
  username: 'anna',
  photo_url: 'https://t.me/i/userpic/320/anna.jpg',
  auth_date: seconds(),
  ...extra,
})
export const initDataFields = (extra: Record<string, string> = {}) => ({
  query_id: 'AAHdF6IQAAAAAN0XohDhrOrc',
  user: JSON.stringify({
    id: 42,
    first_name: 'Anna',
    last_name: 'Smirnova',
    username: 'anna',
    language_code: 'ru',
  }),
  auth_date: seconds(),
  ...extra,
})
