// What the soak does inside a container, by docker exec: to the Redis servers, and to the app's process.
import { type Samovar, until } from '../../test/helpers/image.ts'
import type { Sample } from './growth.ts'

export type Role = 'cache' | 'state'

const PAD = 'soak:pad'
const CLI = { cache: 'redis-cli', state: 'redis-cli -s /run/samovar/redis-state.sock' } as const
const APP = '$(cat /run/samovar/pm2/app-0.pid)'

export const signalRole = (samovar: Samovar, role: Role, signal: string) =>
  samovar.exec(`kill -${signal} $(cat /run/samovar/redis-${role}.pid)`)

export const command = (samovar: Samovar, role: Role, words: string) => samovar.exec(`${CLI[role]} ${words}`)

export const killApp = (samovar: Samovar) => samovar.exec(`kill -9 ${APP}`)

/** Strings of a megabyte, until the server refuses one, or evicts; how many it took. */
export const fill = (samovar: Samovar, role: Role, most: number) =>
  samovar.exec(
    `i=0; while [ $i -lt ${most} ]; do echo SETRANGE ${PAD}:$i 1048575 x; i=$((i + 1)); done |
       ${CLI[role]} 2>/dev/null | grep -c '^1048576'`,
  )

export async function empty(samovar: Samovar, role: Role): Promise<void> {
  await until('the pads are gone', async () => {
    const left = await samovar.exec(
      `${CLI[role]} --scan --pattern '${PAD}:*' | xargs -r -n 50 ${CLI[role]} UNLINK >/dev/null
       ${CLI[role]} --scan --pattern '${PAD}:*' | wc -l; ${CLI[role]} PING`,
    )
    return left === '0\nPONG'
  })
}

export const holdsData = async (samovar: Samovar) => (await samovar.exec('cat /run/samovar/data')) === 'held'

export const isRunning = async ({ raw }: Samovar): Promise<boolean> => (await raw.inspect()).State.Running

/** Undefined where the app is not up at the moment, or the container is paused. */
export async function sample(samovar: Samovar): Promise<Sample | undefined> {
  try {
    const line = await samovar.exec(
      `p=${APP}; echo $p $(grep VmRSS /proc/$p/status | tr -dc 0-9) $(ls /proc/$p/fd | wc -l)`,
    )
    const [pid, rssKib, descriptors] = line.split(' ').map(Number)
    if (!pid || !rssKib || !descriptors) return undefined
    return { atMs: Date.now(), pid, rssKib, descriptors }
  } catch {
    return undefined
  }
}
