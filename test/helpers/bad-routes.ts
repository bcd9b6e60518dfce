// Every route of logins, sessions and webhooks, and the clear: a valid request to it, and those that are valid up to
// one field, with the one answer that there can be.
import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { changeOne, ODD_JSON, ODD_TEXTS } from './odd-values.ts'
import type { Random } from './random.ts'
import { initDataFields, seconds, signInitData, signWidget, widgetFields } from './telegram-signer.ts'

const UNKNOWN_SOURCES = ['constructor', '__proto__', 'payments:x', 'payments%00', 'Payments', 'x'.repeat(500)]

/** What somebody with a right to be here has, to be spoilt in one thing. */
export interface Insider {
  readonly botToken: string
  readonly adminToken: string
  readonly secrets: { readonly payments: string; readonly repo: string; readonly bot: string }
  /** Cookies of users who are asked for nothing that ends a session. */
  readonly keepers: readonly string[]
  /** Cookies of others, who may be logged out. */
  readonly spendable: readonly string[]
  /** Public ids of sessions that are neither's. */
  readonly strangers: readonly string[]
  /** Logins that were used already. */
  readonly spent: {
    readonly initData: string
    readonly widget: Readonly<Record<string, string>>
    readonly callback: { readonly target: string; readonly cookie: string }
  }
  /** Logins by OpenID Connect that have begun: the cookie, and the way back with a code. */
  readonly begun: readonly { readonly target: string; readonly cookie: string }[]
}

export interface Draft {
  method: string
  target: string
  headers: [name: string, value: string][]
  body?: Buffer | string
  /** What is wrong with it. */
  wrong: string
  /** What it must be answered. */
  expected?: string
}

const REFUSED = '401 login_refused'
const BAD_SIGNATURE = '401 bad_signature'
const INVALID = '400 invalid_input'

export interface Route {
  readonly name: string
  readonly method: string
  readonly path: string
  /** A request that is valid, but logs nobody in, to be spoilt in how it is sent. */
  harmless(insider: Insider, random: Random): Draft
  /** One that is valid up to one of its fields. */
  nearly(random: Random, insider: Insider): Promise<Draft> | Draft
}

type Spoilt = Partial<Omit<Draft, 'wrong' | 'expected'>>
/** What is wrong, what is answered, and how the valid request differs then. */
type Spoiling = [wrong: string, expected: string | undefined, changes: Spoilt]

function route(
  name: string,
  harmless: (insider: Insider, random: Random) => Spoilt,
  spoilings: (insider: Insider, random: Random) => Spoiling[] | Promise<Spoiling[]>,
): Route {
  const [method = '', path = ''] = name.split(' ')
  const valid = (insider: Insider, random: Random): Draft => ({
    method,
    target: path,
    headers: [],
    wrong: '',
    ...harmless(insider, random),
  })
  return {
    name,
    method,
    path,
    harmless: valid,
    async nearly(random, insider) {
      const [wrong, expected, changes] = random.pick(await spoilings(insider, random))
      return { ...valid(insider, random), ...changes, wrong, ...(expected !== undefined && { expected }) }
    },
  }
}

const JSON_TYPE: [string, string] = ['Content-Type', 'application/json']
const json = (value: unknown): Spoilt => ({ headers: [JSON_TYPE], body: JSON.stringify(value) })
const cookie = (value: string): Spoilt => ({ headers: [['Cookie', value]] })
const cookies = (cookie: string, random: Random): [string, string][] => [
  ['changed', changeOne(cookie.replace(/^sid=/, ''), random).replace(/^/, 'sid=')],
  ['unsigned', cookie.replace(/\.[^.]*$/, '')],
  ['of the other name', cookie.replace('sid=', '__Host-sid=')],
  ['none', 'a=b'],
]
/** Every way in which a cookie is none, and one more for each of the route's own. */
const withoutUser = (insider: Insider, random: Random, expected: string): Spoiling[] =>
  cookies(random.pick(insider.keepers), random).map(([wrong, value]) => [
    `cookie ${wrong}`,
    expected,
    cookie(value),
  ])
const crossSite = (value: string): Spoiling => [
  'sent by another site',
  '403 cross_site',
  {
    headers: [
      ['Cookie', value],
      ['Sec-Fetch-Site', 'cross-site'],
    ],
  },
]

/** Each field set that Telegram would sign but for one thing, and whatever else a signed text can suffer. */
async function spoiltLogins(
  make: (extra: Record<string, string>, remove?: string) => Record<string, string>,
  sign: (fields: Record<string, string>, token: string) => Promise<Record<string, string>>,
  { botToken }: Insider,
  random: Random,
): Promise<[wrong: string, fields: Record<string, string>][]> {
  const fresh = () => ({ nonce: String(random.below(2 ** 32)) })
  const good = await sign(make(fresh()), botToken)
  const names = Object.keys(good)
  const name = random.pick(names)
  const { [name]: _, ...rest } = good
  const at = (offsetS: number) => ({ ...fresh(), auth_date: seconds(Date.now() + offsetS * 1_000) })
  const signed = (extra: Record<string, string>) => sign(make({ ...fresh(), ...extra }), botToken)
  const oddDate = random.pick([
    '',
    'today',
    '1e9',
    `${seconds()}x`,
    ` ${seconds()}`,
    `-${seconds()}`,
    `${seconds()}.5`,
    '9'.repeat(20),
  ])
  return [
    [`forged`, { ...good, [name]: changeOne(good[name] || 'x', random) }],
    ['forged', { ...good, hash: changeOne(good.hash ?? '', random) }],
    ['truncated', rest],
    ['truncated', { ...good, hash: (good.hash ?? '').slice(0, random.below(64)) }],
    ['late', await signed(at(-301 - random.below(1e6)))],
    ['early', await signed(at(35 + random.below(1e6)))],
    ['with an odd date', await signed({ auth_date: oddDate })],
    ['of another bot', await sign(make(fresh()), changeOne(botToken, random))],
    ['with a field more', { ...good, admin: '1' }],
    ['with a line break', await signed({ first_name: `Anna\nid=${random.below(99)}` })],
  ]
}

const reversed = (fields: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(fields).reverse())
const initFields = (extra: Record<string, string>) => initDataFields(extra) as Record<string, string>
const signInit = async (fields: Record<string, string>, token: string) =>
  Object.fromEntries(new URLSearchParams(await signInitData(fields, token)))
/** In the browser that began it. */
const byWidget = (query: string): Spoilt => ({
  headers: [['Cookie', `widget-login=${'A'.repeat(22)}`]],
  target: `/api/auth/telegram?${query}&attempt=${'A'.repeat(22)}`,
})
const queryOf = (fields: Readonly<Record<string, string>>) => new URLSearchParams(fields).toString()
const userText = (random: Random) =>
  random.pick([
    '',
    '{',
    '[]',
    'null',
    '{"id":0,"first_name":"A"}',
    '{"id":-1,"first_name":"A"}',
    '{"id":1.5,"first_name":"A"}',
    '{"id":"7","first_name":"A"}',
    '{"first_name":"A"}',
    '{"id":1e300,"first_name":"A"}',
    '{"id":7}',
  ])

function standard(id: string, at: Date, body: string, secret: string): Spoilt {
  const timestamp = String(Math.floor(at.getTime() / 1_000))
  const headers: [string, string][] = [
    JSON_TYPE,
    ['webhook-id', id],
    ['webhook-timestamp', timestamp],
    ['webhook-signature', new Webhook(secret).sign(id, at, body)],
  ]
  return { headers, body }
}
const hmac = (secret: string, body: string) => createHmac('sha256', secret).update(body).digest('hex')
const github = (id: string | undefined, signature: string, body: string): Spoilt => ({
  headers: [
    JSON_TYPE,
    ['x-hub-signature-256', signature],
    ...(id === undefined ? [] : [['x-github-delivery', id] as [string, string]]),
  ],
  body,
})
const update = (token: string | undefined, body: string): Spoilt => ({
  headers: [
    JSON_TYPE,
    ...(token === undefined ? [] : [['x-telegram-bot-api-secret-token', token] as [string, string]]),
  ],
  body,
})
/** The request with one header changed, or left out. */
function withHeader(
  { headers = [], ...rest }: Spoilt,
  name: string,
  change: (value: string) => string | undefined,
): Spoilt {
  const changed = headers.flatMap(([key, value]): [string, string][] => {
    if (key !== name) return [[key, value]]
    const next = change(value)
    return next === undefined ? [] : [[key, next]]
  })
  return { ...rest, headers: changed }
}

const bearer = (token: string): [string, string] => ['Authorization', `Bearer ${token}`]

export const routes: readonly Route[] = [
  route(
    'GET /api/me',
    ({ keepers }, random) => cookie(random.pick(keepers)),
    (insider, random) => withoutUser(insider, random, '401 not_logged_in'),
  ),
  route(
    'POST /api/logout',
    ({ spendable }, random) => cookie(random.pick(spendable)),
    (insider, random) => [
      ...cookies(random.pick(insider.keepers), random).map(
        ([wrong, value]): Spoiling => [`cookie ${wrong}`, '204', cookie(value)],
      ),
      crossSite(random.pick(insider.keepers)),
      ['a body that is no JSON', '415 not_json', { ...cookie(random.pick(insider.keepers)), body: 'a=b' }],
    ],
  ),
  route(
    'GET /api/sessions',
    ({ spendable }, random) => cookie(random.pick(spendable)),
    (insider, random) => withoutUser(insider, random, '401 not_logged_in'),
  ),
  route(
    'DELETE /api/sessions',
    ({ spendable }, random) => cookie(random.pick(spendable)),
    (insider, random) => [
      ...withoutUser(insider, random, '401 not_logged_in'),
      crossSite(random.pick(insider.keepers)),
      ...[
        '?others=yes',
        '?others=',
        '?others=true&others=true',
        '?other=true',
        '?others[]=true',
        '?OTHERS=true',
      ].map(
        (query): Spoiling => [
          query,
          INVALID,
          { ...cookie(random.pick(insider.keepers)), target: `/api/sessions${query}` },
        ],
      ),
    ],
  ),
  route(
    'DELETE /api/sessions/:id',
    ({ spendable }, random) => ({
      ...cookie(random.pick(spendable)),
      target: '/api/sessions/AAAAAAAAAAAAAAAAAAAAAA',
    }),
    (insider, random) => [
      ...withoutUser(insider, random, '401 not_logged_in').map(
        ([wrong, expected, changes]): Spoiling => [
          wrong,
          expected,
          { ...changes, target: `/api/sessions/${insider.strangers[0]}` },
        ],
      ),
      ...insider.strangers.map(
        (id): Spoiling => [
          'somebody else’s',
          '404 not_found',
          { ...cookie(random.pick(insider.keepers)), target: `/api/sessions/${id}` },
        ],
      ),
      ...[
        'x',
        'x'.repeat(23),
        'x'.repeat(5_000),
        'AAAAAAAAAAAAAAAAAAAAA%00',
        '%2e%2e',
        '__proto__',
        '%D0%B6'.repeat(22),
      ].map(
        (id): Spoiling => [
          'no id',
          INVALID,
          { ...cookie(random.pick(insider.keepers)), target: `/api/sessions/${id}` },
        ],
      ),
    ],
  ),
  route(
    'GET /api/auth/telegram',
    ({ spent }) => byWidget(queryOf(spent.widget)),
    async (insider, random) => [
      ...(await spoiltLogins(widgetFields, signWidget, insider, random)).map(
        ([wrong, fields]): Spoiling => [wrong, REFUSED, byWidget(queryOf(fields))],
      ),
      ['replayed', REFUSED, {}],
      ['reordered', REFUSED, byWidget(queryOf(reversed(insider.spent.widget)))],
      ['begun elsewhere', REFUSED, { headers: [] }],
      [
        'a field twice',
        REFUSED,
        byWidget(
          `${queryOf(await signWidget(widgetFields({ n: String(random.below(1e9)) }), insider.botToken))}&id=42`,
        ),
      ],
    ],
  ),
  route(
    'POST /api/auth/telegram',
    ({ spent }) => json(spent.widget),
    async (insider, random) => {
      const good = await signWidget(widgetFields({ n: String(random.below(1e9)) }), insider.botToken)
      return [
        ...(await spoiltLogins(widgetFields, signWidget, insider, random)).map(
          ([wrong, fields]): Spoiling => [wrong, REFUSED, json(fields)],
        ),
        ['replayed', REFUSED, {}],
        ['reordered', REFUSED, json(reversed(insider.spent.widget))],
        [
          'an own __proto__',
          REFUSED,
          { headers: [JSON_TYPE], body: JSON.stringify(good).replace('{', '{"__proto__":"x",') },
        ],
        ...[null, true, [], {}, [good.id]].map(
          (id): Spoiling => ['of another type', INVALID, json({ ...good, id })],
        ),
        ['in an array', INVALID, json([good])],
        [
          'as a form',
          '415 not_json',
          { headers: [['Content-Type', 'application/x-www-form-urlencoded']], body: queryOf(good) },
        ],
        [
          'cut short',
          '400 malformed_json',
          { headers: [JSON_TYPE], body: JSON.stringify(good).slice(0, -1) },
        ],
        [
          'sent by another site',
          '403 cross_site',
          { headers: [JSON_TYPE, ['Origin', 'https://evil.example']], body: JSON.stringify(good) },
        ],
      ]
    },
  ),
  route(
    'GET /api/auth/telegram/start',
    () => ({}),
    (_insider, random) =>
      ODD_TEXTS.map(
        (text): Spoiling => [
          'an odd way back',
          '303',
          {
            target:
              `/api/auth/telegram/start?${new URLSearchParams({ return: text })}` +
              (random.chance(0.3) ? '&return=/x' : ''),
          },
        ],
      ),
  ),
  route(
    'GET /api/auth/telegram/callback',
    ({ spent: { callback } }) => ({ ...cookie(callback.cookie), target: callback.target }),
    ({ begun, spent }, random) => {
      const [one, other] = [random.pick(begun), random.pick(begun)]
      const spoilt = (wrong: string, target: string, value: string): Spoiling => [
        wrong,
        REFUSED,
        { ...cookie(value), target },
      ]
      return [
        spoilt('replayed', spent.callback.target, spent.callback.cookie),
        spoilt('forged', one.target.replace(/code=[^&]*/, 'code=made-up'), one.cookie),
        spoilt(
          'forged',
          one.target.replace(/(state=)([^&]*)/, (_all, name, state) => name + changeOne(state, random)),
          one.cookie,
        ),
        spoilt(
          'forged',
          one.target,
          one.cookie.replace(/=.*/s, (value) => `=${changeOne(value.slice(1), random)}`),
        ),
        spoilt('truncated', one.target.replace(/code=[^&]*/, ''), one.cookie),
        spoilt('truncated', one.target.replace(/state=[^&]*/, ''), one.cookie),
        spoilt('truncated', one.target, one.cookie.slice(0, -1 - random.below(60))),
        spoilt('in another browser', one.target, one === other ? 'login=a.b' : other.cookie),
        spoilt('twice', `${one.target}&state=x`, one.cookie),
        spoilt('of the other name', one.target, one.cookie.replace('login=', '__Host-login=')),
      ]
    },
  ),
  route(
    'POST /api/auth/telegram/webapp',
    ({ spent }) => json({ initData: spent.initData }),
    async (insider, random) => {
      const good = await signInitData(initFields({ query_id: String(random.below(1e9)) }), insider.botToken)
      const spoilt = (wrong: string, initData: string): Spoiling => [wrong, REFUSED, json({ initData })]
      return [
        ...(await spoiltLogins(initFields, signInit, insider, random)).map(([wrong, fields]) =>
          spoilt(wrong, queryOf(fields)),
        ),
        spoilt('truncated', good.slice(0, random.below(good.length))),
        spoilt('replayed', insider.spent.initData),
        spoilt('reordered', insider.spent.initData.split('&').reverse().join('&')),
        spoilt('a field twice', `${good}&query_id=1`),
        spoilt('of nobody', await signInitData(initFields({ user: userText(random) }), insider.botToken)),
        ...[null, 5, [good], { initData: good }].map(
          (initData): Spoiling => ['of another type', INVALID, json({ initData })],
        ),
        ['of another name', INVALID, json({ initdata: good })],
        [
          'as text',
          '415 not_json',
          { headers: [['Content-Type', 'text/plain']], body: JSON.stringify({ initData: good }) },
        ],
        [
          'cut short',
          '400 malformed_json',
          { headers: [JSON_TYPE], body: JSON.stringify({ initData: good }).slice(0, -1) },
        ],
      ]
    },
  ),
  route(
    'GET /login',
    ({ keepers }, random) => cookie(random.pick(keepers)),
    (insider, random) => [
      ...withoutUser(insider, random, '200'),
      ...ODD_TEXTS.map(
        (text): Spoiling => [
          'an odd way back',
          '200',
          { target: `/login?${new URLSearchParams({ return: text, lang: text })}` },
        ],
      ),
    ],
  ),
  route(
    'GET /account',
    ({ keepers }, random) => cookie(random.pick(keepers)),
    (insider, random) => withoutUser(insider, random, '303'),
  ),
  route(
    'GET /login/webapp',
    () => ({}),
    () =>
      ODD_TEXTS.map(
        (text): Spoiling => [
          'an odd language',
          '200',
          { target: `/login/webapp?${new URLSearchParams({ lang: text })}` },
        ],
      ),
  ),
  ...['revoke', 'revoke-others', 'logout'].map((form) =>
    route(
      `POST /account/${form}`,
      ({ spendable, strangers }, random) => ({
        ...cookie(random.pick(spendable)),
        target: `/account/${form}?id=${strangers[0]}`,
      }),
      (insider, random) => [
        ...withoutUser(insider, random, '303'),
        crossSite(random.pick(insider.keepers)),
        [
          'a body of a form',
          '415 not_json',
          {
            headers: [
              ['Cookie', random.pick(insider.keepers)],
              ['Content-Type', 'application/x-www-form-urlencoded'],
            ],
            body: 'id=x',
          },
        ],
        ...(form !== 'revoke'
          ? []
          : [
              ...insider.strangers.map(
                (id): Spoiling => [
                  'somebody else’s',
                  '303',
                  { ...cookie(random.pick(insider.keepers)), target: `/account/revoke?id=${id}` },
                ],
              ),
              ...['', '?id=', '?id=a&id=b', `?id=${'x'.repeat(300)}`].map(
                (query): Spoiling => [
                  'no id',
                  INVALID,
                  { ...cookie(random.pick(insider.keepers)), target: `/account/revoke${query}` },
                ],
              ),
            ]),
      ],
    ),
  ),
  route(
    'POST /api/webhooks/payments',
    ({ secrets }, random) => standard(`bad-${random.below(1e9)}`, new Date(), '{"n":1}', secrets.payments),
    ({ secrets }, random) => {
      const id = `bad-${random.below(1e9)}`
      const [now, other] = [new Date(), `whsec_${Buffer.alloc(32, random.below(256)).toString('base64')}`]
      const good = standard(id, now, '{"n":1}', secrets.payments)
      const odd = (name: string, change: (value: string) => string | undefined): Spoiling => [
        name,
        BAD_SIGNATURE,
        withHeader(good, name, change),
      ]
      const late = 302_000 + random.below(1e9)
      return [
        ['the body', BAD_SIGNATURE, { ...good, body: '{"n":2}' }],
        ['no body', BAD_SIGNATURE, { ...good, body: '' }],
        ['another secret', BAD_SIGNATURE, standard(id, now, '{"n":1}', other)],
        [
          'too old',
          '400 outside_tolerance',
          standard(id, new Date(now.getTime() - late), '{"n":1}', secrets.payments),
        ],
        [
          'too new',
          '400 outside_tolerance',
          standard(id, new Date(now.getTime() + late), '{"n":1}', secrets.payments),
        ],
        ['an id with a full stop', BAD_SIGNATURE, standard(`${id}.1`, now, '{"n":1}', secrets.payments)],
        ...['webhook-id', 'webhook-timestamp', 'webhook-signature'].flatMap((name) => [
          odd(name, () => undefined),
          odd(name, (value) =>
            name === 'webhook-signature'
              ? `v1,${changeOne(value.slice(3), random)}`
              : changeOne(value, random),
          ),
          odd(name, () => random.pick(ODD_TEXTS)),
          odd(name, (value) => `x${value}`),
        ]),
        odd('webhook-signature', (value) => value.replace('v1,', 'v1a,')),
        odd('webhook-signature', (value) => `${`v1,${'A'.repeat(43)}= `.repeat(10)}${value}`),
      ]
    },
  ),
  route(
    'POST /api/webhooks/repo',
    ({ secrets }, random) =>
      github(`bad-${random.below(1e9)}`, `sha256=${hmac(secrets.repo, '{"n":1}')}`, '{"n":1}'),
    ({ secrets }, random) => {
      const [id, body, hex] = [`bad-${random.below(1e9)}`, '{"n":1}', hmac(secrets.repo, '{"n":1}')]
      const bad = (signature: string): Spoiling => [
        'the signature',
        BAD_SIGNATURE,
        github(id, signature, body),
      ]
      return [
        bad(`sha256=${changeOne(hex, random)}`),
        bad(`sha256=${hmac(secrets.bot, body)}`),
        bad(`sha1=${hex}`),
        bad(`sha256=${hex.toUpperCase()}x`),
        bad(hex),
        bad(`sha256=${hex.slice(0, random.below(64))}`),
        bad(random.pick(ODD_TEXTS)),
        ['the body', BAD_SIGNATURE, github(id, `sha256=${hex}`, '{"n":2}')],
        ['no id', INVALID, github(undefined, `sha256=${hex}`, body)],
        [
          'an odd id',
          INVALID,
          github(random.pick(['', 'a b', 'x'.repeat(256), '\u00e9', 'a\tb']), `sha256=${hex}`, body),
        ],
      ]
    },
  ),
  route(
    'POST /api/webhooks/bot',
    ({ secrets }, random) => update(secrets.bot, `{"update_id":${random.below(1e9)}}`),
    ({ secrets }, random) => {
      const body = `{"update_id":${random.below(1e9)}}`
      return [
        ['another token', BAD_SIGNATURE, update(changeOne(secrets.bot, random), body)],
        ['no token', BAD_SIGNATURE, update(undefined, body)],
        ['a token cut short', BAD_SIGNATURE, update(secrets.bot.slice(0, -1), body)],
        ['another source’s secret', BAD_SIGNATURE, update(secrets.repo, body)],
        ['an odd token', BAD_SIGNATURE, update(random.pick(ODD_TEXTS), body)],
        ...[
          '{}',
          '[]',
          'null',
          '',
          '{"update_id":"1"}',
          '{"update_id":1.5}',
          '{"update_id":1e99}',
          '{"update_id":null}',
          '{"update_id":[1]}',
          '{"__proto__":{"update_id":1}}',
          ODD_JSON.at(-3) ?? '',
        ].map((odd): Spoiling => ['no id', INVALID, update(secrets.bot, odd)]),
      ]
    },
  ),
  route(
    'GET /api/webhooks/payments/deliveries',
    ({ adminToken }) => ({ headers: [bearer(adminToken)] }),
    ({ adminToken }, random) => [
      ['another token', '401 token_required', { headers: [bearer(changeOne(adminToken, random))] }],
      ['a token cut short', '401 token_required', { headers: [bearer(adminToken.slice(0, -1))] }],
      ['no token', '401 token_required', { headers: [] }],
      ['another scheme', '401 token_required', { headers: [['Authorization', `Basic ${adminToken}`]] }],
      [
        'two tokens',
        '401 token_required',
        { headers: [['Authorization', `Bearer ${adminToken} ${adminToken}`]] },
      ],
      [
        'no such source',
        '404 unknown_source',
        {
          headers: [bearer(adminToken)],
          target: `/api/webhooks/${random.pick(UNKNOWN_SOURCES)}/deliveries`,
        },
      ],
    ],
  ),
  route(
    'POST /api/cache/clear',
    ({ adminToken }) => ({ headers: [bearer(adminToken), JSON_TYPE], body: '{"prefix":"nothing"}' }),
    ({ adminToken }, random) => [
      [
        'another token',
        '401 token_required',
        { headers: [bearer(changeOne(adminToken, random)), JSON_TYPE] },
      ],
      ['as a form', '415 not_json', { headers: [bearer(adminToken), ['Content-Type', 'text/plain']] }],
      ...[
        '[]',
        '{"prefix":1}',
        '{"prefix":""}',
        '{"prefix":[]}',
        '{"prefix":"a","tag":"b"}',
        '{"all":true}',
        '{"tag":null}',
        `{"tag":"${'x'.repeat(201)}"}`,
        '{"prefix":{"__proto__":1}}',
      ].map((body): Spoiling => ['the body', INVALID, { headers: [bearer(adminToken), JSON_TYPE], body }]),
      ...['{', 'null', '"all"', '{"tag":}'].map(
        (body): Spoiling => [
          'no JSON',
          '400 malformed_json',
          { headers: [bearer(adminToken), JSON_TYPE], body },
        ],
      ),
    ],
  ),
]
