// Prices, percentages and times as people of a language write them.
import type { PageLanguage } from '../../http/page.ts'
import type { Currency } from './coin.ts'

const HUGE = 1e15 // what is more has digits that a double does not know

export function formatPrice(price: number, vs: Currency, language: PageLanguage): string {
  const digits = digitsOf(price)
  return numberFormat(language, { style: 'currency', currency: vs, ...digits }).format(price)
}

function digitsOf(price: number): Intl.NumberFormatOptions {
  if (price >= HUGE) return { notation: 'scientific', maximumSignificantDigits: 4 }
  if (price >= 1) return { minimumFractionDigits: 2, maximumFractionDigits: 2 }
  // Below one, what matters is the first digits, however far behind the point they are.
  return { maximumSignificantDigits: 4 }
}

/** 1234567890 → "$1.23B". */
export function formatCompact(amount: number, vs: Currency, language: PageLanguage): string {
  return numberFormat(language, {
    style: 'currency',
    currency: vs,
    notation: 'compact',
    maximumSignificantDigits: 3,
  }).format(amount)
}

/** With its sign, so that it does not depend on a colour. */
export function formatPercent(percent: number, language: PageLanguage): string {
  return numberFormat(language, {
    style: 'percent',
    signDisplay: 'exceptZero',
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(percent / 100)
}

// Each takes longer to make than a hundred figures to write: one for each language, currency and way is kept.
const made = new Map<string, Intl.NumberFormat>()

function numberFormat(language: PageLanguage, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = `${language} ${Object.values(options)}`
  const format = made.get(name) ?? new Intl.NumberFormat(language, options)
  made.set(name, format)
  return format
}
