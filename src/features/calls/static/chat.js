// The chat, and what happens in the call, line by line.

const log = document.querySelector('#said')
const form = document.querySelector('#say')
const input = document.querySelector('#text')

export function createChat({ send }) {
  function add(text, name) {
    const line = document.createElement('li')
    if (name) {
      const who = document.createElement('strong')
      who.textContent = `${name}: `
      line.append(who)
    } else line.className = 'event'
    line.append(text)
    log.append(line)
    line.scrollIntoView({ block: 'nearest' })
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    const text = input.value.trim()
    if (text) send({ text })
    input.value = ''
  }
  return { say: add, event: (text) => add(text), clear: () => log.replaceChildren() }
}
