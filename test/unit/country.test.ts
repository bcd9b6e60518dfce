import { type Country, matches } from '../../src/features/reference/country.ts'

const turkey: Country = {
  code: 'TR',
  name: 'Turkey',
  names: { en: 'Turkey', ru: 'Турция' },
  native: 'Türkiye',
  continent: 'AS',
  capital: 'Ankara',
  currencies: ['TRY'],
  languages: ['tr'],
  phones: ['90'],
}

test.each(['turk', 'TURKEY', 'турц', 'turkiye', 'Türkiye', 'ankara', 'tr', ' Turkey '])(
  '%s finds Turkey',
  (text) => {
    expect(matches(turkey, text)).toBe(true)
  },
)

test.each(['germany', 't r', 'турцыя', '.*', 'r'.repeat(50)])('%s does not', (text) => {
  expect(matches(turkey, text)).toBe(false)
})

test('й is a letter of its own, not an и', () => {
  const china = { ...turkey, names: { en: 'China', ru: 'Китай' } }
  expect([matches(china, 'китай'), matches(china, 'китаи')]).toEqual([true, false])
})
