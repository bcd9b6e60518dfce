// The thread behind control-clock.ts: a bare server that sends back what it gets, and its only client. One round is a
// pause and one answer.
import { connect, createServer, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

const PAUSE_MS = 10
const MOST_MS = 2 * PAUSE_MS

const clock = new Float64Array(workerData as SharedArrayBuffer)
let roundBeganAt = performance.now()

const server = createServer((socket) => void socket.on('data', (bytes) => socket.write(bytes)))
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  const client = connect({ port, host: '127.0.0.1', noDelay: true })
  client.on('connect', () => ask(client))
  client.on('data', () => {
    const now = performance.now()
    clock[0] = (clock[0] as number) + Math.min(now - roundBeganAt, MOST_MS)
    roundBeganAt = now
    setTimeout(ask, PAUSE_MS, client)
  })
  client.once('data', () => parentPort?.postMessage('running'))
})

const ask = (client: Socket) => void client.write('.')
