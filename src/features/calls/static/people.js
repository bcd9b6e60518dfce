// The pictures: one tile for each peer, our own first.

const list = document.querySelector('#people')

export function createPeople(words) {
  const tiles = new Map()

  function add(id, name, { isOwn = false } = {}) {
    const item = document.createElement('li')
    const video = document.createElement('video')
    const label = document.createElement('span')
    const state = document.createElement('small')
    video.autoplay = true
    video.playsInline = true
    video.muted = isOwn
    video.className = isOwn ? 'own' : 'remote'
    video.setAttribute('aria-label', name)
    label.textContent = name
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
