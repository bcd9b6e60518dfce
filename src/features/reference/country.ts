// A country as the API gives it, and the languages its name comes in.
import { z } from 'zod'

export const languages = ['en', 'ru'] as const
export type Language = (typeof languages)[number]

export const countrySchema = z.object({
  /** ISO 3166-1 alpha-2. */
  code: z.string(),
  name: z.string(),
  names: z.object({ en: z.string(), ru: z.string() }),
  native: z.string(),
  continent: z.string(),
  capital: z.string(),
  /** ISO 4217. */
  currencies: z.array(z.string()),
  /** ISO 639-1. */
  languages: z.array(z.string()),
  /** Calling codes, without the plus. */
  phones: z.array(z.string()),
})
export type Country = z.infer<typeof countrySchema>

/** Whether any of the country's names, or its code, contains the text; case and accents do not matter. */
export function matches(country: Country, text: string): boolean {
  const wanted = folded(text)
  const { code, names, native, capital } = country
  return (
    [names.en, names.ru, native, capital].some((name) => folded(name).includes(wanted)) ||
    folded(code) === wanted
  )
}

const folded = (text: string) =>
  text
    .normalize('NFD')
    .replace(/[\u0300-\u0305\u0307-\u036f]/g, '') // all accents but the breve, which makes й of и
    .normalize('NFC')
    .toLowerCase()
    .trim()
