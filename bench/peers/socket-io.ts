// Socket.IO 4 as its documentation begins with it: rooms, and a message that goes to all of one. No compression, no
// polling, as ours.
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { answerMemory } from '../own-memory.ts'

const http = createServer()
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false })
io.on('connection', (socket) => {
  socket.on('join', (room: string) => {
    void socket.join(room)
    socket.emit('joined')
    socket.on('say', (data: unknown) => io.to(room).emit('said', { from: socket.id, data }))
  })
})
http.listen(Number(process.env.PORT), '127.0.0.1', () => {
  answerMemory()
  process.send?.('ready')
})
