// How fast this page sends. The server allows a socket 50 messages a second and 300 KiB in 10 s; we stay well below, since
// what was held up on the way arrives together.

const MOST_MESSAGES = 25
const MESSAGES_MS = 1000
const MOST_BYTES = 200 * 1024
const BYTES_MS = 10_000

export function createPace() {
  const encoder = new TextEncoder()
  let sent = []

  return {
    /** Whether this text may be sent now; it counts from then on. */
    allows(text) {
      const now = performance.now()
      const bytes = encoder.encode(text).length
      sent = sent.filter(({ at }) => at > now - BYTES_MS)
      const messages = sent.filter(({ at }) => at > now - MESSAGES_MS).length
      const sentBytes = sent.reduce((sum, one) => sum + one.bytes, 0)
      if (messages >= MOST_MESSAGES || sentBytes + bytes > MOST_BYTES) return false
      sent.push({ at: now, bytes })
      return true
    },
  }
}
