// The short form of `npm run fuzz`, and that it can fail.
import express from 'express'
import { features } from '../../src/app.ts'
import { defineFeature } from '../../src/feature.ts'
import { curlOf } from './curl.ts'
import { describe as describeFault, fuzz } from './fuzz.ts'
import { unknownLines } from './judge.ts'
import { makeRequest } from './make-request.ts'
import { openWorld, type World } from './world.ts'

const SEED = 20_261_128
const COUNT = 1_200

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

test.each([
  ['with Redis', true],
  ['without Redis', false],
])('generated requests to every route have no answer that must not be: %s', async (_name, hasRedis) => {
  world = await openWorld(hasRedis)
  expect(unknownLines(world.routes)).toEqual([])
  const { faults, statuses } = await fuzz(world, { seed: SEED, from: hasRedis ? 0 : COUNT, count: COUNT })
  expect(faults.map(describeFault)).toEqual([])
  // It reaches what is behind the first checks.
  for (const status of [101, 200, 204, 303, 400, 401, 403, 404, 405, 413, 415])
    expect([status, (statuses[status] ?? 0) > 0]).toEqual([status, true])
})

const planted = (path: string, answer: express.RequestHandler) =>
  defineFeature({
    name: 'planted',
    about: { en: 'a fault of a test', ru: 'ошибка теста' },
    setup: () => {
      const routes = express.Router()
      routes.route(path).post(answer)
      return { routes }
    },
  })

test.each<[string, express.RequestHandler, RegExp]>([
  [
    'a field that is null breaks it',
    (req, res) => {
      for (const value of Object.values(req.body ?? {})) (value as string).toString()
      res.status(404).end()
    },
    /^500 internal$/,
  ],
  [
    'it lets everybody do what is for nobody',
    (_req, res) => void res.status(204).end(),
    /^204 of POST .* which is for nobody$/,
  ],
])('a planted fault is found, printed and found again: %s', async (_name, answer, what) => {
  world = await openWorld(false, [...features, planted('/api/planted', answer)])
  const routes = world.routes.filter(({ path }) => path === '/api/planted')
  expect(routes).toEqual([{ method: 'POST', path: '/api/planted' }])
  const here = { ...world, routes }
  const { faults } = await fuzz(here, { seed: SEED, from: 0, count: 200 })
  const fault = faults.find((found) => what.test(found.what))
  if (!fault) throw new Error(`not found among ${faults.map((found) => found.what).join('\n')}`)
  expect(describeFault(fault)).toContain(`--seed ${SEED} --only ${fault.index}`)
  expect(fault.curl).toMatch(/curl .*\/api\/planted/)
  expect(curlOf(makeRequest(SEED, fault.index, here))).toBe(fault.curl)
  const again = await fuzz(here, { seed: SEED, from: fault.index, count: 1 })
  expect(again.faults.map((found) => found.what)).toContain(fault.what)
})
