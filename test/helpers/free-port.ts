// Ports for what a test starts. Not the kernel's choice: while a server is down, the kernel may give its port to any
// connection on this machine, and the server could not come back.
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

// Below the range from which the kernel takes ports of outgoing connections (ip_local_port_range begins at 32768).
const FIRST = 20_000
const COUNT = 12_000
const TRIES = 50

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (let i = 0; i < TRIES; i += 1) {
    const port = randomInt(FIRST, FIRST + COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port among ${TRIES} from ${FIRST} to ${FIRST + COUNT - 1}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port) // on every address, as the app does
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
