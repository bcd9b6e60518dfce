// Which seeds are played: 50 from the first one on, unless SAMOVAR_SEEDS and SAMOVAR_FIRST_SEED say otherwise, as
// `npm run test:long -- model` does. One seed is repeated with SAMOVAR_SEEDS=1 SAMOVAR_FIRST_SEED=17.
const { SAMOVAR_SEEDS = '50', SAMOVAR_FIRST_SEED = '1' } = process.env

/** One for each `every` of them, and at least one. */
export function seedsToPlay({ every = 1 } = {}): number[] {
  const count = Math.max(1, Math.floor(Number(SAMOVAR_SEEDS) / every))
  return Array.from({ length: count }, (_, i) => Number(SAMOVAR_FIRST_SEED) + i)
}

/** How that seed is played again. */
export const repeat = (seed: number) => `SAMOVAR_SEEDS=1 SAMOVAR_FIRST_SEED=${seed}`
