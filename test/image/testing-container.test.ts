// samovar/testing: what the tests of an app are given to break the Redis of a real container with.
import { SamovarContainer, type StartedSamovarContainer } from '../../src/adapters/testing.ts'
import { until } from '../helpers/image.ts'

const [LABEL = 'samovar.test', VALUE = 'by-hand'] = (process.env.SAMOVAR_TEST_LABEL ?? '')
  .split('=')
  .filter(Boolean)

let samovar: StartedSamovarContainer
beforeAll(async () => {
  const container = new SamovarContainer(process.env.SAMOVAR_IMAGE ?? 'samovar:test')
  samovar = await container.withLabels({ [LABEL]: VALUE }).start()
})
afterAll(() => samovar?.stop())

const has = (status: string) =>
  until(`status ${status}`, async () => (await samovar.stats()).status === status)
const ended = () => samovar.outages().then((all) => all.filter(({ endedAt }) => endedAt !== null).length)

test('each way to break Redis is an outage that ends', async () => {
  await has('redis')
  await samovar.freezeRedis()
  await has('memory')
  await samovar.thawRedis()
  await has('redis')
  const before = await until('its report', async () => (await ended()) || undefined)
  await samovar.killRedis()
  await until('another report', async () => (await ended()) > before)
  await has('redis')
  await samovar.emptyRedis()
  await until('it answers', async () => (await fetch(`${samovar.url}/readyz`)).ok)
})
