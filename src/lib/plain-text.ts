// Text that names something: what it looks like is what it is. Names in all languages pass; what is invisible, or moves
// other text around, does not. Pure.
import { z } from 'zod'

// Controls (NUL, line breaks, C1), lone surrogates, non-characters, separators of lines, what turns the direction of
// text around, and what is not seen at all: spaces without width, fillers, the blank pattern of Braille.
const DECEIVES = new RegExp(
  '[\\p{Cc}\\p{Cs}\\p{Noncharacter_Code_Point}\\p{Bidi_Control}\\u2028\\u2029' +
    '\\u00AD\\u034F\\u115F\\u1160\\u17B4\\u17B5\\u180E\\u200B\\u2060-\\u206F\\u2800\\u3164\\uFEFF' +
    '\\uFFA0\\uFFF0-\\uFFFB\\u{1BCA0}-\\u{1BCA3}\\u{1D173}-\\u{1D17A}\\u{E0000}\\u{E0001}]',
  'u',
)

// Invisible where they stand alone, needed where they shape what is beside them: ZERO WIDTH JOINER and NON-JOINER in
// words of these scripts and in emoji; selectors of variants after what has variants; tags in the flags of regions.
const JOINING = '[\\p{L}\\p{M}]'
const INDIC = [
  'Beng',
  'Deva',
  'Gujr',
  'Guru',
  'Khmr',
  'Knda',
  'Mlym',
  'Mymr',
  'Orya',
  'Sinh',
  'Taml',
  'Telu',
  'Tibt',
]
const CURSIVE = ['Arab', 'Mand', 'Mong', 'Nkoo', 'Phag', 'Syrc']
const scripts = (names: readonly string[]) =>
  `[${names.map((name) => `\\p{Script_Extensions=${name}}`).join('')}]`
const EMOJI = '[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\uFE0F\\u{E007F}]'
const FITTING = new RegExp(
  [
    `(?<=(?=${scripts(CURSIVE)})${JOINING})[\\u200C\\u200D](?=(?=${scripts(CURSIVE)})${JOINING})`,
    `(?<=(?=${scripts(INDIC)})${JOINING})[\\u200C\\u200D](?![\\u200C\\u200D])(?=(?=${scripts(INDIC)})${JOINING})`,
    // An older spelling ends words so, as Malayalam's chillu letters.
    `(?<=(?=${scripts(INDIC)})\\p{M})\\u200D(?![\\u200C\\u200D])`,
    `(?<=${EMOJI})\\u200D(?=\\p{Extended_Pictographic})`,
    '(?<=[\\p{Emoji}\\p{Ideographic}\\p{S}\\p{Script=Mong}\\p{Script=Phag}\\p{Script=Mymr}])' +
      '[\\uFE00-\\uFE0F\\u180B-\\u180D\\u180F\\u{E0100}-\\u{E01EF}]',
    '(?<=\\u{1F3F4})[\\u{E0020}-\\u{E007E}]{1,6}\\u{E007F}',
  ].join('|'),
  'gu',
)
const SHAPERS = /\u200C|\u200D|[\uFE00-\uFE0F]|[\u180B-\u180D\u180F]|[\u{E0002}-\u{E0FFF}]/u

/** Whether a name may be that text. */
export function isPlainText(text: string): boolean {
  return !DECEIVES.test(text) && !SHAPERS.test(text.replace(FITTING, ''))
}

/** A name that somebody gives, and can give otherwise: refused when it is not plain. */
export const plainText = z.string().refine(isPlainText, {
  error: 'must have no control characters, no invisible ones, and none that turn text around',
  abort: true,
})

const NEWLINES = /[\p{Cc}\p{Zl}\p{Zp}]+/gu
const EACH_DECEIVES = new RegExp(DECEIVES.source, 'gu')
const EACH_SHAPER = new RegExp(SHAPERS.source, 'gu')

/** A name from elsewhere, which nobody here can change: without what is not plain. It may be empty then. */
export function cleanText(text: string): string {
  const spaced = text.replace(NEWLINES, ' ').replace(EACH_DECEIVES, '')
  const clean = isPlainText(spaced) ? spaced : withoutShapers(spaced)
  return clean.replace(/ {2,}/g, ' ').trim()
}

/** Those that fit stay. */
function withoutShapers(text: string): string {
  let clean = ''
  let last = 0
  for (const { index, 0: fitting } of text.matchAll(FITTING)) {
    clean += text.slice(last, index).replace(EACH_SHAPER, '') + fitting
    last = index + fitting.length
  }
  return clean + text.slice(last).replace(EACH_SHAPER, '')
}
