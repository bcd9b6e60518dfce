// The pictures: one tile for each peer, our own first.

const list = document.querySelector('#people')

/** A name as others see it: the page marks guests itself, so that no chosen name passes for that of a login. */
export function nameOf({ name, guest }, words) {
  const who = document.createElement('span')
  const own = document.createElement('bdi') // a name written from right to left moves nothing around it
  who.className = 'name'
  own.textContent = name || words.guest
  who.append(own)
  if (guest && name && words.isGuest) {
    const mark = document.createElement('em')
    mark.textContent = words.isGuest
    who.append(' ', mark)
  }
  return who
}

export function createPeople(words) {
  const tiles = new Map()

  function add(id, label, { isOwn = false } = {}) {
    const item = document.createElement('li')
    const video = document.createElement('video')
    const state = document.createElement('small')
    video.autoplay = true
    video.playsInline = true
    video.muted = isOwn
    video.className = isOwn ? 'own' : 'remote'
    video.setAttribute('aria-label', label.textContent)
    item.append(video, label, state)
    list.append(item)
    tiles.set(id, { item, video, state })
    list.dataset.count = tiles.size
  }

  return {
    add,
    has: (id) => tiles.has(id),
    ids: () => [...tiles.keys()],
    show(id, stream) {
      const { video } = tiles.get(id) ?? {}
      if (video && video.srcObject !== stream) video.srcObject = stream
    },
    state(id, name) {
      const tile = tiles.get(id)
      if (!tile) return
      tile.item.dataset.state = name
      tile.state.textContent = words[name] ?? ''
    },
    remove(id) {
      tiles.get(id)?.item.remove()
      tiles.delete(id)
      list.dataset.count = tiles.size
    },
  }
}
