// Makes a link, and offers to copy and to open it.

const make = document.querySelector('#make')
const words = make ? JSON.parse(make.dataset.words) : {}
const link = document.querySelector('#link')
const say = (text) => {
  document.querySelector('#said').textContent = text
}

async function makeLink(kind) {
  say('')
  const response = await fetch('/api/calls', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ kind }),
  }).catch(() => undefined)
  if (!response?.ok) return say(words.failed)
  const { path } = await response.json()
  link.value = new URL(path, location.href).href
  document.querySelector('#open').href = path
  document.querySelector('#made').hidden = false
  document.querySelector('#open').focus()
}

make?.addEventListener('click', ({ target }) => target.dataset.kind && makeLink(target.dataset.kind))
document.querySelector('#copy')?.addEventListener('click', async () => {
  link.select()
  await navigator.clipboard.writeText(link.value)
  say(words.copied)
})
for (const button of make?.children ?? []) button.disabled = false
