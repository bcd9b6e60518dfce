// Prices, percentages and times as people of a language write them.
import type { PageLanguage } from '../../http/page.ts'
import type { Currency } from './coin.ts'

export function formatPrice(price: number, vs: Currency, language: PageLanguage): string {
  // Below one, what matters is the first digits, however far behind the point they are.
  const digits =
    Math.abs(price) >= 1
      ? { minimumFractionDigits: 2, maximumFractionDigits: 2 }
      : { maximumSignificantDigits: 4 }
  return new Intl.NumberFormat(language, { style: 'currency', currency: vs, ...digits }).format(price)
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
