// What an alert says to people, in both languages.
import type { Crossing, Language } from './alert.ts'

/** Plain text without line breaks. */
export function messageText(crossing: Crossing, language: Language): string {
  const { coin, vs, when, value, price, referencePrice } = crossing
  const money = (amount: number) => `${figure(amount, language)} ${vs.toUpperCase()}`
  const now = money(price)
  if (when === 'changes') {
    const percent = changePercent(price, referencePrice ?? price)
    const by = `${percent > 0 ? '+' : '−'}${figure(Math.abs(percent), language)} %`
    const before = money(referencePrice ?? price)
    return language === 'ru'
      ? `${coin}: ${by}, было ${before}, стало ${now}`
      : `${coin}: ${by}, from ${before} to ${now}`
  }
  return `${coin} ${WORDS[language][when]} ${money(value)}: ${now}`
}

const WORDS = {
  en: { above: 'is above', below: 'is below' },
  ru: { above: 'выше', below: 'ниже' },
}

const changePercent = (price: number, before: number) => ((price - before) / before) * 100

function figure(amount: number, language: Language): string {
  // Cents matter from one up; below it, digits that are not zero do.
  const digits = amount >= 1 ? { maximumFractionDigits: 2 } : { maximumSignificantDigits: 4 }
  return new Intl.NumberFormat(language, digits).format(amount)
}
