// The WebSocket of the users' pages: it only tells.
import type { Context } from '../../feature.ts'
import { CLOSE } from '../../http/sockets/open-socket.ts'
import type { SocketRoute } from '../../http/sockets/sockets.ts'
import type { AlertPages } from './alert-pages.ts'

const SOCKETS_PER_USER = 20
const MESSAGE_BYTES = 1_024 // nothing is expected

export interface AlertSocketParts {
  pages: Pick<AlertPages, 'listen'>
  socket: Context['socket']
}

export function createAlertSocket({ pages, socket }: AlertSocketParts): SocketRoute {
  return socket({
    path: '/ws/alerts',
    mostEach: { most: SOCKETS_PER_USER, of: (_req, user) => user.id },
    messageBytes: MESSAGE_BYTES,
    async open({ send, close }, { id }) {
      const stop = await pages.listen(id, (text) => {
        // What a page misses it asks for when it connects again.
        if (send(text) !== undefined) close(CLOSE.tooSlow)
      })
      void send(JSON.stringify({ type: 'listening' }))
      return { closed: stop }
    },
  })
}
