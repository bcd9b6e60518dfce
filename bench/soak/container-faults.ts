// What happens to the container as a whole, and to the app in it.
import { pause } from '../../src/lib/time.ts'
import { type Samovar, until } from '../../test/helpers/image.ts'
import { allowServers } from '../../test/helpers/image-state.ts'
import { type Fault, ROLES } from './fault.ts'
import { holdsData, killApp, signalRole } from './inside.ts'

export const paused: Fault = {
  name: 'container paused',
  endsApp: false,
  run: (stage, random) =>
    stage.gap('paused', async () => {
      const forMs = 1_000 + random.below(6_000)
      const { raw } = stage.current()
      await raw.pause()
      await pause(forMs)
      await raw.unpause()
      return `${(forMs / 1_000).toFixed(1)} s`
    }),
}

/** Until the container answers, and has its data. */
async function servesAgain(samovar: Samovar): Promise<void> {
  await until('the container serves again', async () => (await samovar.get('/readyz')).status === 200)
  await until('it holds its data', () => holdsData(samovar))
}

export const appKilled: Fault = {
  name: 'app killed (-9)',
  endsApp: true,
  run: (stage) =>
    stage.gap('app killed', async () => {
      await killApp(stage.current())
      await pause(500)
      await servesAgain(stage.current())
      return ''
    }),
}

export const appKilledInOutage: Fault = {
  name: 'app killed (-9) while both are away',
  endsApp: true,
  async run(stage, random) {
    const samovar = stage.current()
    await allowServers(samovar, false)
    for (const role of ROLES) await signalRole(samovar, role, 'KILL').catch(() => {})
    await pause(1_000 + random.below(4_000))
    await appKilled.run(stage, random)
    await pause(random.below(4_000))
    await allowServers(samovar, true)
    return ''
  },
}

export const restarted: Fault = {
  name: 'container stopped and started',
  endsApp: true,
  run: (stage) =>
    stage.gap('container restarted', async () => {
      const { code, tookMs } = await stage.current().stop()
      await stage.current().start()
      await servesAgain(stage.current())
      return `ended with ${code} after ${(tookMs / 1_000).toFixed(1)} s`
    }),
}

export const killedWhole: Fault = {
  name: 'container killed (-9) and started',
  endsApp: true,
  run: (stage) =>
    stage.gap('container killed', async () => {
      await stage.current().kill()
      await stage.current().start()
      await servesAgain(stage.current())
      return ''
    }),
}

/** Clients are sent to both from when the new one is ready until the old one is stopped, as platforms do. */
export const redeployed: Fault = {
  name: 'redeployed',
  endsApp: true,
  isRedeploy: true,
  run: (stage, random) =>
    stage.gap('redeploy', async () => {
      const old = stage.current()
      const young = await stage.bootAnother()
      await until('the newcomer is ready', async () => (await young.get('/readyz')).status === 200)
      stage.serveFrom(old, young)
      await until('the newcomer holds the data', () => holdsData(young))
      const togetherMs = random.below(4_000)
      await pause(togetherMs)
      stage.serveFrom(young)
      const { code } = await old.stop()
      stage.retire(await old.text())
      await old.remove()
      return `both for ${(togetherMs / 1_000).toFixed(1)} s after the hand-over; the old one ended with ${code}`
    }),
}
