// The seat that this tab has in a room, kept so that a page that is loaded again after a crash takes it again.

const TOKEN_MS = 45_000 // so long the last `resume` is good
const keyOf = (room) => `call ${room}`

/** If the browser forbids storage, a reloaded page is a new peer. */
function tryStorage(call) {
  try {
    return call(sessionStorage)
  } catch {
    return undefined
  }
}

export function keepSeat(room, seat) {
  tryStorage((storage) => storage.setItem(keyOf(room), JSON.stringify({ ...seat, atMs: Date.now() })))
}

/** `resume` and `since` for `join`; neither when there is no seat that could still be ours. */
export function keptSeat(room) {
  const { atMs, ...seat } = JSON.parse(tryStorage((storage) => storage.getItem(keyOf(room))) ?? '{}')
  return Date.now() - atMs < TOKEN_MS ? seat : {}
}

export function forgetSeat(room) {
  tryStorage((storage) => storage.removeItem(keyOf(room)))
}
