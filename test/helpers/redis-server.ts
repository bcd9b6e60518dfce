// A real redis-server that belongs to the test: it can be killed, frozen, and started again on the same port and files.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

export interface TestRedis {
  readonly port: number
  readonly url: string
  /** Starts it again after `kill`, with its files and other arguments. */
  start(...extra: string[]): Promise<void>
  /** kill -9, and gone when this resolves. */
  kill(): Promise<void>
  freeze(): void
  thaw(): void
  /** One command as redis-cli would send it; the raw RESP2 reply. */
  command(...words: (string | Buffer)[]): Promise<string>
  /** DUMP and RESTORE … REPLACE: a key as it was. */
  dump(key: string): Promise<Buffer>
  restore(key: string, dump: Buffer | undefined): Promise<void>
  stop(): Promise<void>
}

export const startRedis = (...settings: string[]): Promise<TestRedis> => startServer({ settings })

export interface ServerOptions {
  /** Its program and words before its own; the redis-server of this machine unless said. */
  command?: readonly string[]
  /** This machine has many: 127.0.0.1 unless said. */
  address?: string
  port?: number
  settings?: readonly string[]
}

export async function startServer(options: ServerOptions): Promise<TestRedis> {
  const { command: program = ['redis-server'], address = '127.0.0.1', settings = [] } = options
  const port = options.port ?? (await freePort())
  const dir = mkdtempSync(join(tmpdir(), 'samovar-redis-'))
  let child: ChildProcess | undefined

  async function start(...extra: string[]): Promise<void> {
    const fixed = ['--port', String(port), '--dir', dir, '--bind', address, '--save', '']
    const [file = '', ...words] = [...program, ...fixed, ...settings, ...extra]
    child = spawn(file, words, { stdio: 'ignore' })
    await eventually(async () => {
      if (!/^(\+PONG|-NOAUTH|-LOADING)/.test(await command('PING')))
        throw new Error('redis-server does not answer yet')
    })
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async function ask(words: (string | Buffer)[]): Promise<Buffer> {
    const socket = connect(port, address)
    try {
      await once(socket, 'connect')
      const line = (text: string) => Buffer.from(`${text}\r\n`)
      const parts = words.flatMap((word) => [
        line(`$${Buffer.byteLength(word)}`),
        Buffer.from(word),
        line(''),
      ])
      socket.write(Buffer.concat([line(`*${words.length}`), ...parts]))
      const [reply] = (await once(socket, 'data')) as [Buffer]
      return reply
    } finally {
      socket.destroy()
    }
  }
  const command = async (...words: (string | Buffer)[]) => (await ask(words)).toString()

  await start()
  return {
    port,
    url: `redis://${address}:${port}/0`,
    start,
    kill,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    command,
    async dump(key) {
      const reply = await ask(['DUMP', key])
      return reply.subarray(reply.indexOf('\r\n') + 2, -2)
    },
    async restore(key, dump) {
      if (dump) await ask(['RESTORE', key, '0', dump, 'REPLACE'])
    },
    async stop() {
      await kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
