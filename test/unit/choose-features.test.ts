// Which features run, and what is said where that cannot be.

import { chooseFeatures } from '../../src/choose-features.ts'
import { InvalidEnvironment, readConfig } from '../../src/config.ts'
import { type Configured, integer } from '../../src/variables.ts'

const base = { name: 'base' }
const shop = {
  name: 'shop',
  needs: ['base'],
  variables: { SHOP_SIZE: { schema: integer(1, 9), en: '', ru: '' } },
}
const blog = { name: 'blog' }
const all: readonly Configured[] = [base, shop, blog]

const problemsOf = (features: readonly Configured[], env: Record<string, string> = {}) => {
  try {
    readConfig(features, { SHOP_SIZE: '3', ...env }, false)
  } catch (error) {
    if (error instanceof InvalidEnvironment) return error.problems
    throw error
  }
  return []
}
const runningWith = (env: Record<string, string>) => [...readConfig(all, env, false).features.keys()]

test('all run unless said; FEATURES names those that do, FEATURES_OFF those that do not', () => {
  expect(runningWith({ SHOP_SIZE: '3' })).toEqual(['base', 'shop', 'blog'])
  expect(runningWith({ FEATURES: 'blog, base' })).toEqual(['base', 'blog'])
  expect(runningWith({ FEATURES_OFF: 'shop' })).toEqual(['base', 'blog'])
})

test('the variables of a feature are demanded and checked while it runs, and not while it is left out', () => {
  expect(problemsOf(all, { SHOP_SIZE: 'huge' })).toEqual(['SHOP_SIZE must be a whole number from 1 to 9'])
  expect(problemsOf(all, { SHOP_SIZE: '' })).toHaveLength(1)
  expect(problemsOf(all, { SHOP_SIZE: 'huge', FEATURES_OFF: 'shop' })).toEqual([])
})

test.each<[string, readonly Configured[], Record<string, string>, string]>([
  [
    'an unknown name',
    all,
    { FEATURES: 'blog,shpo' },
    'FEATURES names shpo, and there are only base, shop, blog',
  ],
  [
    'one to leave out',
    all,
    { FEATURES_OFF: 'x' },
    'FEATURES_OFF names x, and there are only base, shop, blog',
  ],
  [
    'a need that is left out',
    all,
    { FEATURES_OFF: 'base' },
    'the feature shop needs base, which is left out: leave out both or neither',
  ],
  [
    'a need that is not among those that run',
    all,
    { FEATURES: 'shop' },
    'the feature shop needs base, which is left out: leave out both or neither',
  ],
  [
    'both variables',
    all,
    { FEATURES: 'base', FEATURES_OFF: 'shop' },
    'FEATURES and FEATURES_OFF are both set: the one names what runs, the other what does not',
  ],
  ['a name twice', [base, { name: 'base' }], {}, 'two features are named base'],
  ['a name that is none', [{ name: 'My Shop' }], {}, 'the name of a feature has a-z, 0-9 and -, not My Shop'],
  [
    'an unknown need',
    [{ name: 'shop', needs: ['till'] }],
    {},
    'the feature shop needs till, and there is no such feature',
  ],
  [
    'a need that comes later',
    [shop, base],
    {},
    'the feature shop needs base, which must come before it in the list',
  ],
  [
    'a variable of another feature',
    [shop, { name: 'blog', variables: shop.variables }],
    {},
    'the variable SHOP_SIZE of the feature blog is the feature shop’s',
  ],
  [
    'a variable of everybody',
    [{ name: 'blog', variables: { PORT: { schema: integer(1, 9), en: '', ru: '' } } }],
    { PORT: '5' },
    'the variable PORT of the feature blog is the app’s',
  ],
])('%s is one sentence', (_name, features, env, sentence) => {
  const isAlone = features.some(({ needs = [] }) =>
    needs.some((need) => !features.some(({ name }) => name === need)),
  )
  const problems = problemsOf(features, env)
  expect(problems).toContain(sentence)
  if (!isAlone && features === all) expect(problems).toHaveLength(1)
})

test('the order of the list is kept', () => {
  expect(chooseFeatures(all, { only: ['blog', 'base'], off: [] }).chosen).toEqual([base, blog])
})
