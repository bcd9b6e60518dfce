// The other side of apart.ts: a process that opens Samovar and does as it is told.
import type { FromChild, Method, ToChild } from './apart.ts'
import { openSamovar } from './samovar-subject.ts'
import type { Subject } from './subject.ts'

const STATUS_EVERY_MS = 2

const loads = new Map<number, (value: string) => void>()
let subject: Promise<Subject> | undefined
let told = ''

const send = (message: FromChild) => process.send?.(message)

async function answer(number: number, method: Method, args: (string | number)[]): Promise<void> {
  const load = () =>
    new Promise<string>((resolve) => {
      loads.set(number, resolve)
      send({ load: number })
    })
  try {
    const call = (await subject)?.[method] as (...args: unknown[]) => Promise<unknown>
    send({ answered: number, value: await call(...args, load) })
  } catch (error) {
    const { message, code } = error as Error & { code?: string }
    send({ failed: number, message, code })
  }
}

process.on('message', (message: ToChild) => {
  if ('open' in message) {
    subject = openSamovar(message.open)
    void subject.then((opened) => setInterval(() => tellStatus(opened), STATUS_EVERY_MS))
  } else if ('call' in message) void answer(message.call, message.method, message.args)
  else if ('loaded' in message) {
    loads.get(message.loaded)?.(message.value)
    loads.delete(message.loaded)
  } else void end()
})
process.on('disconnect', () => process.exit())

function tellStatus(opened: Subject): void {
  const now = { status: opened.status(), isSettled: opened.isSettled() }
  if (JSON.stringify(now) === told) return
  told = JSON.stringify(now)
  send(now)
}

async function end(): Promise<void> {
  await (await subject)?.close()
  process.exit()
}
