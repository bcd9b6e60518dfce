// What a name may be: names of real languages and emoji pass, what deceives the eye does not.
import { cleanText, isPlainText } from '../../src/lib/plain-text.ts'

const REAL = {
  Latin: 'Anna O’Brien-Müller',
  Cyrillic: 'Анна Ёлкина',
  'composed and combining': 'José Jose\u0301 Tiến',
  Hebrew: 'שָׁלוֹם',
  Arabic: 'عبد الله',
  'Persian, with a non-joiner': 'علی\u200Cرضا می\u200Cخواهم',
  'Hindi, with both joiners': 'क्\u200Dष शर्\u200Cमा',
  'Sinhala, with a joiner': 'ශ්\u200Dරී',
  'Malayalam, which ends with a joiner': 'മോഹന\u0D4D\u200D',
  Thai: 'ขวัญ',
  Tamil: 'கார்த்திக்',
  'Japanese, with a variant of a sign': '葛\u{E0100}城',
  Korean: '김민수',
  'a family, a profession, a heart': '👨\u200D👩\u200D👧 👩🏽\u200D💻 ❤\uFE0F\u200D🔥',
  'flags of colours and of a region':
    '🏳\uFE0F\u200D🌈 🇩🇪 \u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}',
  keycap: '1\uFE0F\u20E3',
}

const DECEIVING: Record<string, [text: string, clean: string]> = {
  NUL: ['An\u0000na', 'An na'],
  'a line break': ['Anna\nAdmin', 'Anna Admin'],
  'a carriage return': ['Anna\r', 'Anna'],
  'an escape sequence': ['\u001B[31mAnna', '[31mAnna'],
  DEL: ['Anna\u007F', 'Anna'],
  C1: ['Anna\u0085\u009B', 'Anna'],
  'a lone surrogate': ['Anna\uD800', 'Anna'],
  'a lone low surrogate': ['\uDC00Anna', 'Anna'],
  'separators of lines and paragraphs': ['An\u2028na\u2029', 'An na'],
  'a space without width': ['An\u200Bna', 'Anna'],
  'a joiner between Latin letters': ['An\u200Dna', 'Anna'],
  'a non-joiner at the end': ['علی\u200C', 'علی'],
  'two joiners': ['می\u200C\u200Cخواهم', 'میخواهم'],
  'a word joiner, a byte order mark': ['An\u2060na\uFEFF', 'Anna'],
  'a soft hyphen': ['An\u00ADna', 'Anna'],
  'a name of fillers alone': ['\u3164\u2800', ''],
  'tags outside a flag': ['Anna\u{E0041}\u{E0042}', 'Anna'],
  'a selector of no variant': ['Anna\uFE0F', 'Anna'],
}

test.each(Object.entries(REAL))('%s: a name', (_of, name) => {
  expect(isPlainText(name)).toBe(true)
  expect(cleanText(name)).toBe(name)
})

test.each(Object.entries(DECEIVING))('%s: refused, and cleaned away', (_what, [text, clean]) => {
  expect(isPlainText(text)).toBe(false)
  expect(cleanText(text)).toBe(clean)
})

test('every character of Bidi_Control, every control, alone and in a name', () => {
  const bidi = [
    0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
  ]
  const controls = Array.from({ length: 0xa0 }, (_, i) => i).filter((i) => i < 0x20 || i >= 0x7f)
  for (const code of [...bidi, ...controls]) {
    const one = String.fromCodePoint(code)
    expect([code, isPlainText(one), isPlainText(`Anna${one}x`)]).toEqual([code, false, false])
    expect(isPlainText(cleanText(`Анна${one}x`))).toBe(true)
  }
})

test('what is clean stays as it is, whatever it is made of', () => {
  const parts = [
    'a',
    'Ж',
    '\u200C',
    '\u200D',
    'ی',
    'क',
    '\u094D',
    '👩',
    '\uFE0F',
    '\u202E',
    '\n',
    ' ',
    '\uD83D',
    '\u{E0041}',
  ]
  let seed = 13
  for (let i = 0; i < 5_000; i += 1) {
    let text = ''
    for (let n = 0; n < 8; n += 1) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      text += parts[seed % parts.length]
    }
    const clean = cleanText(text)
    expect([text, isPlainText(clean), cleanText(clean)]).toEqual([text, true, clean])
  }
})
