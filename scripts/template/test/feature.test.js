// The feature over HTTP, in the whole app, as the image runs it: node --test
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startApp } from './start-app.js'

const app = await startApp({ HOME_PAGE: 'own', GREETING: 'Good morning' })
after(() => app.close())

test('what is written is on the page', async () => {
  const text = 'hi <there>'
  const written = await fetch(`${app.url}/api/greetings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  })
  assert.equal(written.status, 201)
  const page = await (await fetch(app.url)).text()
  assert.match(page, /<h1>Good morning<\/h1>/)
  assert.match(page, /<li>hi &lt;there&gt;<\/li>/)
  const { greetings } = await (await fetch(`${app.url}/api/greetings`)).json()
  assert.equal(greetings[0].text, text)
})

test('what is no greeting is refused with a sentence', async () => {
  const answer = await fetch(`${app.url}/api/greetings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"text":""}',
  })
  assert.equal(answer.status, 400)
  assert.match((await answer.json()).detail, /^text: /)
})
