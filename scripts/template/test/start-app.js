// Samovar with this folder as its USER_DIR, as a process of its own, without Redis, with its data in a folder that goes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { node, samovar } from '../scripts/samovar.js'

const folder = join(import.meta.dirname, '..')

export async function startApp(env = {}) {
  const port = await freePort()
  const dataDir = mkdtempSync(join(tmpdir(), 'app-data-'))
  const child = spawn(node, [join(samovar, 'src/main.ts')], {
    env: { PATH: process.env.PATH, USER_DIR: folder, DATA_DIR: dataDir, PORT: port, REDIS_URL: 'off', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const url = `http://127.0.0.1:${port}`
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  while (!(await fetch(`${url}/livez`).then(({ ok }) => ok, () => false))) {
    if (child.exitCode !== null) throw new Error(`the app ended with code ${child.exitCode}: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    url,
    async close() {
      child.kill()
      await ended
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function freePort() {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return String(port)
}
