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
    log.scrollTop = log.scrollHeight // not scrollIntoView, which moves the page as well
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    const text = input.value.trim()
    if (text) send({ text })
    input.value = ''
  }
  function open(isOpen) {
    for (const control of form.elements) control.disabled = !isOpen
  }
  return {
    say: add,
    event: (text) => add(text),
    open: () => open(true),
    close() {
      open(false)
      log.replaceChildren()
    },
  }
}
