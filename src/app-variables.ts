// Everybody's variables; those of a feature are in its manifest. Read by config.ts.
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { parseRedisHost, readRedisUrl } from './lib/redis-url.ts'
import { flag, integer, names, parsedBy, positiveIn, type Variables, wordOf } from './variables.ts'

const secrets = z
  .string()
  .transform((value) => value.split(',').map((secret) => secret.trim()))
  .refine((all) => all.every(({ length }) => length >= 16), 'must have at least 16 characters between commas')
const webAddress = z
  .string()
  .refine(
    (value) => URL.canParse(value),
    'must be a URL that begins with https://, such as https://name.supabase.co',
  )
  .transform((value) => new URL(value))
  .refine(
    ({ protocol, username, search }) =>
      (protocol === 'https:' || protocol === 'http:') && username === '' && search === '',
    'must look like https://name.supabase.co',
  )
  .refine(
    ({ hostname }) => !/^(app\.)?supabase\.(com|io)$/.test(hostname),
    'is the address of the dashboard: the project’s own looks like https://name.supabase.co',
  )
  .transform((url) => new URL(url.pathname.replace(/\/rest(\/v1)?\/?$/, '/'), url)) // as Data API shows it
/** `true` is one proxy, as Express and most programs take it. */
const proxies = z
  .string()
  .transform(
    (text) => ({ true: '1', yes: '1', on: '1', false: '0', no: '0', off: '0' })[text.toLowerCase()] ?? text,
  )
  .pipe(
    z
      .string()
      .regex(
        /^\d{1,2}$/,
        'must be how many proxies stand in front, from 0 to 10 (true is 1), not their addresses',
      )
      .transform(Number)
      .refine((value) => value <= 10, 'must be from 0 to 10'),
  )
/** Puma's 0 is one process; what is too many for the memory is fewer (lib/environment/image-sizes.ts). */
const processes = z
  .string()
  .transform((text) => (/^(auto|max)$/i.test(text) ? String(availableParallelism()) : text))
  .pipe(integer(0, 1_000))
  .transform((count) => Math.max(1, count))
const isOff = (text: string) => /^(off|false|no|none|disabled?|0)$/i.test(text)
const featureNames = names.transform((list) => list.map((name) => name.toLowerCase()))

/** Of Python, syslog, Monolog, winston and others. */
const OTHER_LEVELS = {
  all: 'trace',
  silly: 'trace',
  verbose: 'debug',
  http: 'debug',
  information: 'info',
  notice: 'info',
  log: 'info',
  warning: 'warn',
  err: 'error',
  crit: 'fatal',
  critical: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  emergency: 'fatal',
  panic: 'fatal',
  none: 'silent',
  off: 'silent',
} as const

/** Everybody's variables. With those of the features these are all; other variables are none of our business. */
export const variables = {
  PORT: {
    schema: integer(1, 65_535).default(8080),
    en: 'port of the application',
    ru: 'порт приложения',
    isLocal: true, // scripts/up maps it
  },
  REDIS_URL: {
    schema: parsedBy((text) => (isOff(text) ? { isOff: true as const } : readRedisUrl(text))).optional(),
    default: '`redis://localhost:6379/0`',
    en:
      '`redis://[user:password@]host[:port][/database]`, `rediss://` for TLS, `off` for none; `?tls=true`, `?db=` ' +
      'and `?password=` count, too; outside the image also `unix:///path`. Wins over the parts below',
    ru:
      '`redis://[пользователь:пароль@]хост[:порт][/база]`, `rediss://` для TLS, `off` — без Redis; учитываются и ' +
      '`?tls=true`, `?db=`, `?password=`; вне образа ещё `unix:///путь`. Важнее частей ниже',
  },
  REDIS_HOST: {
    schema: parsedBy(parseRedisHost).optional(),
    default: '`localhost`',
    en: 'the same in parts; also with a port, `redis:6379`',
    ru: 'то же по частям; можно и с портом, `redis:6379`',
  },
  REDIS_PORT: { schema: integer(1, 65_535).optional(), default: '`6379`', en: '', ru: '' },
  REDIS_DB: { schema: integer(0, 1_000).optional(), default: '`0`', en: '', ru: '' },
  REDIS_USERNAME: { schema: z.string().optional(), en: '', ru: '' },
  REDIS_PASSWORD: {
    schema: z.string().optional(),
    en: 'also for a `REDIS_URL` without one',
    ru: 'в том числе для `REDIS_URL` без пароля',
    isSecret: true,
    isFree: true,
  },
  REDIS_TLS: {
    schema: flag.optional(),
    default: '`false`',
    en: 'TLS to `REDIS_HOST`',
    ru: 'TLS до `REDIS_HOST`',
  },
  REDIS_CA_FILE: {
    schema: z.string().optional(),
    en: 'path of a certificate authority in PEM, for a private one',
    ru: 'путь к сертификату своего центра сертификации, PEM',
    isLocal: true,
  },
  STATE_REDIS_URL: {
    schema: parsedBy(readRedisUrl).optional(),
    default: { en: 'as `REDIS_URL`', ru: 'как `REDIS_URL`' },
    example: '',
    en:
      'a Redis of its own for state, which must not evict. In the embedded variant the image sets it ' +
      'to its own socket',
    ru:
      'отдельный Redis для состояния, без вытеснения. Во встроенном варианте образ сам указывает ' +
      'здесь свой сокет',
  },
  REDIS_PREFIX: {
    schema: z
      .string()
      .regex(/^[\w:.-]{0,64}$/, 'may have letters, digits and : . _ -')
      .default('samovar:'),
    en: 'before every key on an external Redis; on the embedded one, cached values have their plain names',
    ru: 'в начале каждого ключа во внешнем Redis; во встроенном у значений кэша простые имена',
  },
  REDIS_BUDGET_MS: {
    schema: integer(10, 10_000, 'ms').optional(),
    default: { en: '`100`; `500` external', ru: '`100`; внешний `500`' },
    example: '100',
    en: 'milliseconds that one command may take before memory answers',
    ru: 'сколько миллисекунд ждать одну команду, прежде чем ответить из памяти',
  },
  CACHE_ENABLED: {
    schema: flag.default(true),
    en: '`false`: every read goes to its source',
    ru: '`false`: каждое чтение идёт в источник',
  },
  REDIS_TTL: {
    schema: positiveIn('s').default(300),
    en:
      'seconds; how long a cached value is fresh unless its feature says otherwise, and how long "no ' +
      'such country" is believed',
    ru:
      'секунды; сколько свежи значения кэша, если функция не сказала иначе, и сколько верить ответу ' +
      '«такой страны нет»',
  },
  MEMORY_BUDGET_MB: {
    schema: integer(1, 65_536, 'MB').default(32),
    default: {
      en: 'from the container’s memory; `32` outside the image',
      ru: 'по памяти контейнера; вне образа `32`',
    },
    example: '32',
    en:
      'memory for cached values and for the copy of state inside the process, half each. When the ' +
      'state’s half is used up while Redis is away, new state is refused with 503',
    ru:
      'память под значения кэша и копию состояния внутри процесса, пополам. Если половина состояния ' +
      'кончилась, пока Redis недоступен, новое состояние не принимается, ответ 503',
  },
  ADMIN_TOKEN: {
    default: { en: 'made once, kept in `DATA_DIR`', ru: 'создаётся один раз, лежит в `DATA_DIR`' },
    example: '',
    schema: z
      .string()
      .regex(/^[\x21-\x7e]{8,}$/, 'must have at least 8 characters: letters, digits and signs, no spaces')
      .optional(),
    en:
      'at least 8 characters, sent as `Authorization: Bearer`; opens `/admin/jobs` and ' +
      '`/api/webhooks/*/deliveries`, and where it is set, locks `/api/cache/*` and `/api/outages`. ' +
      '`samovar token` prints the one that is used',
    ru:
      'не короче 8 символов, передаётся как `Authorization: Bearer`; открывает `/admin/jobs` и ' +
      '`/api/webhooks/*/deliveries`, а если задан, закрывает `/api/cache/*` и `/api/outages`. ' +
      '`samovar token` печатает действующий токен',
    isSecret: true,
  },
  SESSION_SECRET: {
    schema: secrets.optional(),
    isFree: true,
    default: { en: 'made once, kept in `DATA_DIR`', ru: 'создаётся один раз, лежит в `DATA_DIR`' },
    example: '',
    en:
      'signs the cookies of sessions and the links of calls; at least 16 characters. A ' +
      'comma-separated list rotates: the first one signs, each is believed. Needed by several ' +
      'containers that do not share `/data`',
    ru:
      'подписывает cookie сессий и ссылки на звонки; не короче 16 символов. Список через запятую — ' +
      'для смены: первым подписывают, верят каждому. Нужен нескольким контейнерам без общего `/data`',
    isSecret: true,
  },
  DATABASE_URL: {
    schema: z.string().optional(), // config.ts parses it
    en:
      '`postgres://user:password@host[:port]/database[?sslmode=require]`: ' +
      '[countries](docs/features/reference.md) from its table `countries`, and the records (of ' +
      'webhooks, alerts) in tables of ours there. ' +
      'TLS as with libpq: all of its `sslmode`, `sslrootcert`. Without it both are SQLite in `DATA_DIR`',
    ru:
      '`postgres://пользователь:пароль@хост[:порт]/база[?sslmode=require]`: ' +
      '[страны](docs/ru/features/reference.md) из её таблицы `countries`, там же в наших таблицах ' +
      'записи вебхуков и уведомлений. TLS как в libpq: все её `sslmode`, `sslrootcert`. Без неё и то и ' +
      'другое — SQLite в `DATA_DIR`',
    isSecret: true,
  },
  SUPABASE_URL: {
    schema: webAddress.optional(),
    en: 'countries from a Supabase project instead. Together with `SUPABASE_ANON_KEY`; `DATABASE_URL` wins over it',
    ru: 'страны из проекта Supabase. Вместе с `SUPABASE_ANON_KEY`; `DATABASE_URL` важнее',
  },
  SUPABASE_ANON_KEY: {
    schema: z
      .string()
      .regex(/^[\x21-\x7e]{8,4000}$/, 'must be the anon (publishable) key that Supabase shows under API Keys')
      .optional(),
    en: 'the anon (publishable) key of that project',
    ru: 'ключ anon (publishable) этого проекта',
    isSecret: true,
  },
  FEATURES: {
    schema: featureNames.transform((list) => (list.join() === 'all' ? undefined : list)).optional(),
    default: { en: 'all', ru: 'все' },
    example: '',
    en:
      'only these [features](docs/configuration.md#features), comma-separated; the others have no ' +
      'route, table, job or variable',
    ru:
      'только эти [функции](docs/ru/configuration.md#функции), через запятую; у остальных нет ни ' +
      'маршрутов, ни таблиц, ни заданий, ни переменных',
  },
  FEATURES_OFF: {
    schema: featureNames.transform((list) => (list.join() === 'none' ? [] : list)).default([]),
    en: 'all features but these, comma-separated; not together with `FEATURES`',
    ru: 'все функции, кроме этих, через запятую; не вместе с `FEATURES`',
  },
  TRUST_PROXY: {
    schema: proxies.optional(),
    default: {
      en: '`1` on Amvera, Railway and Heroku, `2` on Fly, `3` on Render; else `0`',
      ru: '`1` на Amvera, Railway и Heroku, `2` на Fly, `3` на Render; иначе `0`',
    },
    example: '1',
    en:
      'how many proxies stand in front (`true` is 1): which address in `X-Forwarded-For` is the client’s, and ' +
      'whether a request came over HTTPS. [Limits](docs/features/limits.md) count by it. At `0` those ' +
      'headers are ignored, and the log says so when one arrives',
    ru:
      'сколько прокси стоит перед приложением (`true` — один): какой адрес в `X-Forwarded-For` принадлежит клиенту и ' +
      'пришёл ли запрос по HTTPS. По адресу считают [лимиты](docs/ru/features/limits.md). При `0` эти ' +
      'заголовки не учитываются, а лог сообщает, если они приходят',
  },
  HSTS_INCLUDE_SUBDOMAINS: {
    schema: flag.default(false),
    en:
      '`true`: `Strict-Transport-Security`, sent over HTTPS only, covers every host under this one ' +
      'as well. All of them must have HTTPS',
    ru:
      '`true`: заголовок `Strict-Transport-Security`, который отправляется только по HTTPS, действует и на все ' +
      'поддомены. HTTPS должен быть у каждого',
  },
  // Read by ecosystem.config.js; checked here.
  WEB_CONCURRENCY: {
    schema: processes.default(1),
    isGeneric: true,
    en:
      'application processes in the image, or `auto`: one for each core; useful above one core. No more than the ' +
      'memory is enough for',
    ru:
      'процессов приложения в образе или `auto` — по одному на ядро; есть смысл, если ядер больше одного. Не ' +
      'больше, чем хватает памяти',
  },
  DATA_DIR: {
    schema: z.string().trim().default('data'), // the image sets /data
    default: { en: '`/data`; `./data` outside the image', ru: '`/data`; вне образа `./data`' },
    example: 'data',
    en:
      'an absolute path in the image, on a volume; what must last: `samovar.db`, `records.db`, `reference.db`, ' +
      '`reference-copy.db`, `session-secret`, `admin-token`, `installation`',
    ru:
      'в образе — абсолютный путь, на томе; то, что должно пережить перезапуск: `samovar.db`, ' +
      '`records.db`, `reference.db`, `reference-copy.db`, `session-secret`, `admin-token`, `installation`',
    isLocal: true,
    isFree: true,
  },
  SITE_NAME: {
    schema: z.string().max(60, 'may have at most 60 characters').optional(),
    default: { en: '`Samovar`', ru: '`Самовар`' },
    example: '',
    en: 'what the site is called, on every page',
    ru: 'как называется сайт, на каждой странице',
    isFree: true,
  },
  SITE_URL: {
    schema: z
      .string()
      .refine(
        (text) => URL.canParse(text) && /^https?:\/\/[^/?#]+\/?$/.test(text),
        'must look like https://example.com',
      )
      .transform((text) => new URL(text))
      .optional(),
    en: 'where the site is, `https://example.com`: search engines are told this address',
    ru: 'где находится сайт, `https://example.com`: этот адрес сообщается поисковым системам',
  },
  SITE_LOGO: {
    schema: z.string().optional(),
    en: 'an image of at most 256 kB, `logo.svg`: a file in `USER_DIR`, or an absolute path',
    ru: 'изображение до 256 кБ, `logo.svg`: файл в `USER_DIR` или абсолютный путь',
    isLocal: true,
    isFree: true,
  },
  USER_DIR: {
    schema: z.string().optional(),
    default: { en: '`/app/user` in the image', ru: 'в образе `/app/user`' },
    example: '',
    en:
      'the folder of [your own app](docs/make-it-yours.md): `feature.js` or `feature.ts`, there or in its folders, ' +
      'and `samovar.config.js`',
    ru:
      'папка [вашего приложения](docs/ru/make-it-yours.md): `feature.js` или `feature.ts`, в ней или в её папках, и ' +
      '`samovar.config.js`',
    isLocal: true,
    isFree: true,
  },
  LOG_LEVEL: {
    schema: wordOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], OTHER_LEVELS).default(
      'info',
    ),
    isGeneric: true,
    en: '`trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`; `debug` shows every read of the cache',
    ru: '`trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`; `debug` показывает каждое чтение кэша',
  },
  LOG_FORMAT: {
    schema: wordOf(['json', 'pretty']).optional(),
    isGeneric: true,
    default: { en: '`json`; `pretty` on a terminal', ru: '`json`; в терминале `pretty`' },
    example: 'json',
    en: 'leave it alone in the image: `pretty` needs a package that is not in there',
    ru: 'в образе не меняйте: для `pretty` нужен пакет, которого там нет',
    isLocal: true,
  },
  SAMOVAR_RUN_DIR: {
    schema: z.string().startsWith('/', 'must be an absolute path').optional(),
    en: 'set by the image for itself: where its parts meet. Leave it unset',
    ru: 'задаёт сам образ: где встречаются его части. Не трогайте',
    isLocal: true,
  },
} as const satisfies Variables
