// The two HMAC checks of a Telegram login: published vectors, an independent signer, and everything that is refused.
import { isFresh, type SignedLogin } from '../../src/features/sessions/telegram/signed-fields.ts'
import { verifyInitData } from '../../src/features/sessions/telegram/verify-init-data.ts'
import { verifyWidget } from '../../src/features/sessions/telegram/verify-widget.ts'
import { initDataFields, signInitData, signWidget, widgetFields } from '../helpers/telegram-signer.ts'

const TOKEN = '5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8'
const anna = { id: 'telegram:42', name: 'Anna Smirnova', username: 'anna' }

describe('vectors published by the Telegram Mini Apps documentation', () => {
  test('init data as in docs.telegram-mini-apps.com/packages/telegram-apps-init-data-node', () => {
    const initData =
      'query_id=AAHdF6IQAAAAAN0XohDhrOrc&user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%22' +
      '%2C%22last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22' +
      '%2C%22is_premium%22%3Atrue%7D&auth_date=1662771648' +
      '&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2'
    expect(verifyInitData(initData, TOKEN)).toEqual({
      user: { id: 'telegram:279058397', name: 'Vladislav Kibenko', username: 'vdkfrost', language: 'ru' },
      signedAtS: 1_662_771_648,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(verifyInitData(initData, TOKEN.replace('8-F', '9-F'))).toBeUndefined()
  })

  test('init data with a signature for third parties, which the hash covers', () => {
    const initData =
      'user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22' +
      '%2C%22last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22' +
      '%2C%22is_premium%22%3Atrue%2C%22allows_write_to_pm%22%3Atrue' +
      '%2C%22photo_url%22%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F4FPEE4tmP3ATHa57u' +
      '6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D&chat_instance=8134722200314281151&chat_type=private' +
      '&auth_date=1733509682' +
      '&signature=TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau-X7oNNLNBM72APCpi_RKiUlBvcqo5L-LAxIc3dnTzcZX_PDg' +
      '&hash=a433d8f9847bd6addcc563bff7cc82c89e97ea0d90c11fe5729cae6796a36d73'
    const token = '7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4'
    expect(verifyInitData(initData, token)).toMatchObject({
      user: { id: 'telegram:279058397', name: 'Vladislav + - ? / Kibenko', photoUrl: expect.any(String) },
      signedAtS: 1_733_509_682,
    })
    expect(verifyInitData(initData.replace(/&signature=[^&]+/, ''), token)).toBeUndefined()
  })
})

const ways = {
  widget: {
    fields: widgetFields,
    sign: signWidget,
    verify: (fields: readonly (readonly [string, string])[]) => verifyWidget(fields, TOKEN),
  },
  initData: {
    fields: initDataFields,
    sign: async (fields: Record<string, string>, token: string) =>
      Object.fromEntries(new URLSearchParams(await signInitData(fields, token))),
    verify: (fields: readonly (readonly [string, string])[]) =>
      verifyInitData(
        new URLSearchParams(fields.map(([name, value]): [string, string] => [name, value])).toString(),
        TOKEN,
      ),
  },
}

describe.each(Object.entries(ways))('%s', (_name, { fields, sign, verify }) => {
  const signed = async (extra: Record<string, string> = {}) =>
    Object.entries(await sign(fields(extra), TOKEN))
  const change = (entries: [string, string][], field: string, to: string): [string, string][] =>
    entries.map(([key, value]) => [key, key === field ? to : value])

  test('proves its user', async () => {
    expect(verify(await signed())?.user).toMatchObject(anna)
  })

  test('a field nobody knows yet is part of what is signed', async () => {
    const entries = await signed({ new_field: 'ё & = ?' })
    expect(verify(entries)?.user).toMatchObject(anna)
    expect(verify(change(entries, 'new_field', 'other'))).toBeUndefined()
    expect(verify(entries.filter(([key]) => key !== 'new_field'))).toBeUndefined()
  })

  test('in another order it is the same login, so that it is used up with the first', async () => {
    const entries = await signed()
    const shuffled = verify([...entries].reverse())
    expect(shuffled).toEqual(verify(entries))
    expect(verify(change(entries, 'hash', (entries.at(-1)?.[1] ?? '').toUpperCase()))).toEqual(shuffled)
    expect(verify(await signed({ auth_date: '1700000000' }))?.digest).not.toBe(shuffled?.digest)
  })

  test.each<[string, (entries: [string, string][]) => [string, string][]]>([
    ['signed with another token', (entries) => change(entries, 'hash', 'ab'.repeat(32))],
    ['without a hash', (entries) => entries.filter(([key]) => key !== 'hash')],
    ['with half a hash', (entries) => change(entries, 'hash', (entries.at(-1)?.[1] ?? '').slice(0, 32))],
    ['with a hash that is too long', (entries) => change(entries, 'hash', `${entries.at(-1)?.[1]}00`)],
    ['with an empty hash', (entries) => change(entries, 'hash', '')],
    ['with a later time', (entries) => change(entries, 'auth_date', '1999999999')],
    ['without its time', (entries) => entries.filter(([key]) => key !== 'auth_date')],
    ['with a field more', (entries) => [['is_admin', 'true'], ...entries]],
    ['with a field given twice', (entries) => [['auth_date', '1'], ...entries]],
    ['with the same value given twice', (entries) => [...entries, ...entries.slice(0, 1)]],
    ['with the hash given twice', (entries) => [...entries, ...entries.slice(-1)]],
    ['with two values swapped', (entries) => entries.map(([key], i) => [key, entries[i ^ 1]?.[1] ?? ''])],
    ['with nothing in it', () => []],
  ])('%s it is refused', async (_name, forge) => {
    expect(verify(forge(await signed()))).toBeUndefined()
  })

  test.each(['', 'yesterday', '1e9', '-5', '0x10', ' 1700000000', '1700000000.5'])(
    'a signed time of %p is refused',
    async (time) => {
      expect(verify(await signed({ auth_date: time }))).toBeUndefined()
    },
  )

  test('fields cannot be folded into one another, though the check string would be the same', async () => {
    const entries = await signed({ a: '1', b: '2' })
    const folded = entries
      .filter(([key]) => key !== 'b')
      .map(([k, v]) => (k === 'a' ? [k, '1\nb=2'] : [k, v]))
    expect(verify(folded as [string, string][])).toBeUndefined()
    const named = entries.filter(([key]) => key !== 'a' && key !== 'b').concat([['a=1\nb', '2']])
    expect(verify(named)).toBeUndefined()
  })
})

test('the hash of the one is nothing to the other', async () => {
  const fields = { ...widgetFields(), ...initDataFields() }
  const asWidget = await signWidget(fields, TOKEN)
  expect(verifyWidget(Object.entries(asWidget), TOKEN)).toBeDefined()
  expect(verifyInitData(new URLSearchParams(asWidget).toString(), TOKEN)).toBeUndefined()
  const asInitData = [...new URLSearchParams(await signInitData(fields, TOKEN))] as [string, string][]
  expect(verifyWidget(asInitData, TOKEN)).toBeUndefined()
})

test.each([
  '{}',
  '[]',
  'null',
  'no json',
  '{"id":"42","first_name":"x"}',
  '{"id":-42,"first_name":"x"}',
  '{"id":1.5,"first_name":"x"}',
])('initData of the user %s is refused', async (user) => {
  expect(verifyInitData(await signInitData(initDataFields({ user }), TOKEN), TOKEN)).toBeUndefined()
})

test.each(['', '0', '-1', '1e3', '42 ', 'abc', '99999999999999999'])(
  'a widget id of %p is refused',
  async (id) => {
    expect(verifyWidget(Object.entries(await signWidget(widgetFields({ id }), TOKEN)), TOKEN)).toBeUndefined()
  },
)

test('a picture that is no https address is left out, and a name is found for everybody', async () => {
  const of = async (extra: Record<string, string>): Promise<SignedLogin['user'] | undefined> =>
    verifyWidget(Object.entries(await signWidget(widgetFields(extra), TOKEN)), TOKEN)?.user
  expect(await of({ photo_url: 'javascript:alert(1)' })).toEqual(anna)
  expect(await of({ first_name: '', last_name: ' ' })).toMatchObject({ name: 'anna' })
})

test.each([
  [0, true],
  [299, true],
  [300, true],
  [301, false],
  [86_400, false],
  [-30, true],
  [-31, false],
  [-86_400, false],
])('%p seconds after it was signed, fresh is %p', (ageS, fresh) => {
  expect(isFresh({ signedAtS: 1_700_000_000 }, (1_700_000_000 + ageS) * 1_000)).toBe(fresh)
})
