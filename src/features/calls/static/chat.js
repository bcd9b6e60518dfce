// The chat, and what happens in the call, line by line.

const log = document.querySelector('#said')
const form = document.querySelector('#say')
const input = document.querySelector('#text')

export function createChat({ send }) {
  /** `who`: an element, as nameOf makes it. */
  function add(text, who) {
    const line = document.createElement('p')
    if (who) {
      const strong = document.createElement('strong')
      strong.append(who, ': ')
      line.append(strong)
    } else line.className = 'event'
    line.append(...[text].flat())
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
    /** Texts and elements, one after the other. */
    event: (...parts) => add(parts),
    open: () => open(true),
    close() {
      open(false)
      log.replaceChildren()
    },
  }
}
