// The call: media first, then the socket, then a connection to each peer that it tells of.
import { createChat } from './chat.js'
import { closeMedia, createSwitch, openMedia } from './media.js'
import './memory.js'
import { createPeer } from './peer.js'
import { createPeople, nameOf } from './people.js'
import { connect } from './signalling.js'

const $ = (selector) => document.querySelector(selector)
const { room, key, words: wordsJson } = $('#call').dataset
const words = JSON.parse(wordsJson)

function showState(name) {
  $('#call').dataset.state = name
  if ($('#state').textContent !== words.states[name]) $('#state').textContent = words.states[name]
}

function showNotice(word) {
  $('#notice').hidden = !word
  $('#notice').textContent = word ? words[word] : ''
}

function showCall(isInCall) {
  $('#before').hidden = isInCall
  $('#in-call').hidden = !isInCall
  $('#other-language').hidden = isInCall // another page would end the call
}

function showEnd(why) {
  showCall(false)
  $('#before button').focus()
  showState(why)
}

/** The browser may ask for as long as it likes: who leaves before the answer is not in the call when it comes. */
async function join(name) {
  const left = new AbortController()
  showCall(true)
  showState('connecting')
  $('#in-call').focus()
  useMedia(new MediaStream())
  $('#leave').onclick = () => {
    left.abort()
    showEnd('left')
  }
  const { stream, missing } = await openMedia(left.signal)
  if (left.signal.aborted) return
  showNotice(missing)
  useMedia(stream)
  call(name, stream)
}

function useMedia(stream) {
  createSwitch($('#microphone'), stream.getAudioTracks())
  createSwitch($('#camera'), stream.getVideoTracks())
}

function call(name, stream) {
  const people = createPeople(words.peerStates)
  const peers = new Map()
  let iceServers = []
  let wasIn = false // this page, not one before it
  const chat = createChat({ send: (data) => socket.tell({ type: 'say', data }) })
  people.add('own', nameOf({ name: words.you }, words), { isOwn: true })
  people.show('own', stream)

  function meet({ polite, ...who }, begins) {
    const { id } = who
    if (peers.has(id)) return
    people.add(id, nameOf(who, words))
    people.state(id, 'connecting')
    const peer = createPeer({
      polite,
      begins,
      iceServers,
      stream,
      tell: (data, n) => socket.tell({ type: 'signal', to: id, data, ...(n && { n }) }),
      on: {
        stream: (media) => people.show(id, media),
        state(state) {
          people.state(id, state)
          // The server lost this peer; now its media are lost, too.
          if (peers.get(id)?.isLost && state !== 'connected') part(id)
        },
      },
    })
    peers.set(id, { peer, who, isLost: false })
    chat.event(nameOf(who, words), ` ${words.hasJoined}`)
    showCount()
  }

  function part(id) {
    const one = peers.get(id)
    if (!one) return
    one.peer.close()
    peers.delete(id)
    people.remove(id)
    chat.event(nameOf(one.who, words), ` ${words.hasLeft}`)
    showCount()
  }

  /** The server does not know this peer any more; if we still see it, it is the server's loss and not ours. */
  function lose(id) {
    const one = peers.get(id)
    if (!one?.peer.isConnected()) return part(id)
    one.isLost = true
  }

  /** `beginsWith` says with whom of those we did not know we open the first negotiation. */
  function compare(present, beginsWith) {
    const ids = new Set(present.map(({ id }) => id))
    for (const id of [...peers.keys()]) if (!ids.has(id)) lose(id)
    for (const one of present) {
      if (peers.has(one.id)) peers.get(one.id).isLost = false
      else meet(one, beginsWith(one))
    }
  }

  /** Signals may be missing: where media flow, that does not matter. */
  function restartBroken() {
    for (const { peer } of peers.values()) if (!peer.isConnected()) peer.restart()
  }

  const showCount = () => showState(peers.size > 0 ? 'joined' : 'alone')

  const hear = {
    'peer-joined': ({ peer }) => compare([...present(), peer], () => false),
    'peer-left': ({ id, reason }) => (reason === 'lost' ? lose(id) : part(id)),
    negotiation: (message) => peers.get(message.with)?.peer.number(message.n),
    signal: ({ from, data, n }) => peers.get(from)?.peer.hear(data, n),
    said: ({ from, name: theirs, guest, data }) =>
      chat.say(
        String(data?.text ?? ''),
        nameOf(from === socket.you() ? { name: words.you } : { name: theirs, guest }, words),
      ),
    gap(message) {
      compare(message.peers, ({ polite }) => !polite)
      if (message.of === 'room') chat.event(words.mayBeMissing)
      else restartBroken()
    },
    error: ({ code }) => console.warn('the server refused a message:', code),
  }
  const present = () => [...peers].flatMap(([id, { isLost }]) => (isLost ? [] : [{ id }]))

  const socket = connect({
    room,
    key,
    name,
    on: {
      joined(message) {
        iceServers = message.iceServers
        if (!message.resumed) for (const id of [...peers.keys()]) part(id)
        compare(message.peers, () => !message.resumed)
        for (const { peer } of peers.values()) {
          peer.forgetNumbers()
          if (message.resumed && !wasIn) peer.askAnew()
        }
        wasIn = true
        chat.open()
        if (!message.recovered) {
          restartBroken()
          chat.event(words.mayBeMissing)
        }
        showCount()
      },
      message: (message) => hear[message.type]?.(message),
      lost: () => showState('lost'),
      full: () => showState('waiting'),
      ended,
    },
  })

  function ended(why) {
    for (const id of [...peers.keys()]) part(id)
    closeMedia(stream)
    people.remove('own')
    chat.close()
    removeEventListener('pagehide', socket.goAway)
    showEnd(why)
  }

  $('#leave').onclick = () => socket.leave()
  addEventListener('pagehide', socket.goAway)
}

$('#before').addEventListener('submit', (event) => {
  event.preventDefault()
  // The page is that of a login that has ended.
  if ($('#call').dataset.state === 'loggedOut') return location.reload()
  join($('#name').value.trim())
})
for (const control of $('#before').elements) control.disabled = false
