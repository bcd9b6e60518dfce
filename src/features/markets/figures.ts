// Prices, percentages and times as people of a language write them.
import type { PageLanguage } from '../../http/page.ts'
import type { Currency } from './coin.ts'

const HUGE = 1e15 // what is more has digits that a double does not know

export function formatPrice(price: number, vs: Currency, language: PageLanguage): string {
  const digits = digitsOf(price)
  return new Intl.NumberFormat(language, { style: 'currency', currency: vs, ...digits }).format(price)
}

function digitsOf(price: number): Intl.NumberFormatOptions {
  if (price >= HUGE) return { notation: 'scientific', maximumSignificantDigits: 4 }
  if (price >= 1) return { minimumFractionDigits: 2, maximumFractionDigits: 2 }
  // Below one, what matters is the first digits, however far behind the point they are.
  return { maximumSignificantDigits: 4 }
}

/** 1234567890 → "$1.23B". */
export function formatCompact(amount: number, vs: Currency, language: PageLanguage): string {
  return new Intl.NumberFormat(language, {
    style: 'currency',
    currency: vs,
    notation: 'compact',
    maximumSignificantDigits: 3,
  }).format(amount)
}

/** With its sign, so that it does not depend on a colour. */
export function formatPercent(percent: number, language: PageLanguage): string {
  return new Intl.NumberFormat(language, {
    style: 'percent',
    signDisplay: 'exceptZero',
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(percent / 100)
}

export const formatUtc = (iso: string) => `${iso.slice(0, 19).replace('T', ' ')} UTC`
