// Greetings: what visitors have written, on the page at /. Kept in SQL, read through the cache, written at a limit.
import { randomUUID } from 'node:crypto'
import {
  defineFeature, endpoint, HOUR, html, languageOf, MINUTE, otherLanguageOf, parse, Router, sendCached, sendOwnPage, z,
} from 'samovar'

const newGreeting = z.strictObject({ text: z.string().trim().min(1).max(200) })
const greetingList = z.object({ greetings: z.array(z.object({ text: z.string(), at: z.number() })) })
const writeRules = [{ name: 'greetings', per: 'client', limit: 20, windowMs: MINUTE, sharedLimit: 200 }]
const KEY = 'greetings:all'

export default defineFeature({
  name: 'greetings',
  variables: {
    GREETING: { schema: z.string().default('Hello!'), en: 'the heading of the page', ru: 'заголовок страницы' },
  },
  migrations: ['CREATE TABLE greetings (id TEXT PRIMARY KEY, text TEXT NOT NULL, at INTEGER NOT NULL) STRICT'],
  navigation: [{ path: '/', en: 'Greetings', ru: 'Приветствия' }],
  setup({ config, records, cache, now, limitBy }) {
    const policy = { freshMs: HOUR, staleMs: HOUR, parse: (json) => greetingList.parse(json) }
    const list = () =>
      cache.getOrLoad(KEY, policy, async () => {
        const rows = await records.all('SELECT text, at FROM greetings ORDER BY at DESC LIMIT 50')
        return { greetings: rows.map(({ text, at }) => ({ text: String(text), at: Number(at) })) }
      })
    async function add(text) {
      await records.transaction(async (tx) => {
        tx.run('INSERT INTO greetings VALUES (?, ?, ?)', randomUUID(), text, now())
      })
      await cache.invalidate([KEY])
    }

    const routes = Router()
    endpoint(routes, '/', {
      async get(req, res) {
        const { value } = await list()
        await sendOwnPage(res, page(languageOf(req), config.GREETING, value?.greetings ?? []))
      },
    })
    endpoint(routes, '/greetings', {
      // The form of the page.
      post: [
        limitBy(writeRules),
        async (req, res) => {
          await add(parse(newGreeting, req.body).text)
          res.redirect(303, '/')
        },
      ],
    })
    endpoint(routes, '/api/greetings', {
      get: async (req, res) => sendCached(req, res, await list()),
      post: [
        limitBy(writeRules),
        async (req, res) => {
          await add(parse(newGreeting, req.body).text)
          res.status(201).json({})
        },
      ],
    })
    return { routes }
  },
})

const texts = {
  en: { yours: 'Your greeting', send: 'Send' },
  ru: { yours: 'Ваше приветствие', send: 'Отправить' },
}
const page = (language, heading, greetings) => ({
  language,
  title: heading,
  otherUrl: `/?lang=${otherLanguageOf(language)}`,
  styles: [],
  scripts: [],
  main: html`<form method="post" action="/greetings">
  <input name="text" required maxlength="200" aria-label="${texts[language].yours}"> <button>${texts[language].send}</button>
</form>
<ul>${greetings.map(({ text }) => html`<li>${text}</li>`)}</ul>`,
})
