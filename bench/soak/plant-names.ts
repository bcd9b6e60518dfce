// What --plant may name: one for each kind of thing that the checker is there to find (plants.ts makes them).
export const plantNames = [
  'lost-login',
  'undone-logout',
  'another-person',
  'used-login',
  'forgotten-delivery',
  'unlisted-delivery',
  'lost-alert',
  'returned-alert',
  'over-limit',
  'early-refusal',
  'stale-read',
  'bad-answer',
  'no-answer',
  'slow-call',
  'leak',
  'wiped-data',
] as const

export type PlantName = (typeof plantNames)[number]

export const isPlantName = (word: string): word is PlantName => plantNames.some((name) => name === word)
