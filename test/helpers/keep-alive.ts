// What Linux knows of TCP keep-alive, as /proc/net/tcp tells it.
import { readFileSync } from 'node:fs'

const ESTABLISHED = '01'
const KEEP_ALIVE = '02' // the timer that runs on a quiet connection which has it
const JIFFIES_A_SECOND = 100

/**
 * Of each connection from here to that port of this machine: how many seconds from now it is asked whether the other
 * side is there; undefined for one that never is.
 */
export function keepAliveSeconds(port: number): (number | undefined)[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  const rows = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1)
  return rows.flatMap((row) => {
    const [, , remote = '', state, , timer = ''] = row.trim().split(/\s+/)
    if (!remote.endsWith(`:${hexPort}`) || state !== ESTABLISHED) return []
    const [kind, when = ''] = timer.split(':')
    return [kind === KEEP_ALIVE ? Number.parseInt(when, 16) / JIFFIES_A_SECOND : undefined]
  })
}
