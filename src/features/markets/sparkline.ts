// A small chart as SVG, drawn here, so that it needs no script and no library.
import { type Html, html } from '../../lib/html.ts'

const WIDTH = 120
const HEIGHT = 32
const MARGIN = 2 // so that the line is not cut at its highest and lowest
/** 0.0, 0.1 and so on, as text: a page of 50 coins has 17,000 coordinates. */
const tenths = Array.from({ length: 10 * Math.max(WIDTH, HEIGHT) + 1 }, (_, i) => (i / 10).toFixed(1))
const tenth = (value: number) => tenths[Math.round(10 * value)]

/** The line through these values, oldest first; a dash when there are too few for one. */
export function sparkline(values: readonly number[], label: string): Html {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const [first, last] = [values[0], values.at(-1)]
  if (values.length < 2 || first === undefined || last === undefined) return html`–`
  const x = (i: number) => (i / (values.length - 1)) * WIDTH
  const y = (value: number) =>
    high === low ? HEIGHT / 2 : MARGIN + ((high - value) / (high - low)) * (HEIGHT - 2 * MARGIN)
  const points = values.map((value, i) => `${tenth(x(i))},${tenth(y(value))}`).join(' ')
  const direction = last < first ? 'down' : 'up'
  return html`<svg class="sparkline ${direction}" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}"
    role="img" aria-label="${label}"><polyline points="${points}"/></svg>`
}
