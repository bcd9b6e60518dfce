// Which features run: all, those that FEATURES names, or all but those that FEATURES_OFF names. Pure.

interface Named {
  readonly name: string
  readonly needs?: readonly string[]
}

export interface Choice {
  /** Only these; undefined: all. */
  readonly only: readonly string[] | undefined
  readonly off: readonly string[]
}

/** The features that run, in the order of the list; or a sentence for each thing that cannot be. */
export function chooseFeatures<F extends Named>(
  all: readonly F[],
  { only, off }: Choice,
): { chosen: readonly F[]; problems: readonly string[] } {
  const names = all.map(({ name }) => name)
  const chosen = all.filter(({ name }) => (only ?? names).includes(name) && !off.includes(name))
  const problems = [...problemsOfList(all), ...problemsOfChoice(names, { only, off })]
  const running = new Set(chosen.map(({ name }) => name))
  for (const { name, needs = [] } of chosen) {
    for (const need of needs.filter((one) => names.includes(one) && !running.has(one))) {
      problems.push(`the feature ${name} needs ${need}, which is left out: leave out both or neither`)
    }
  }
  return { chosen, problems }
}

function problemsOfList(all: readonly Named[]): string[] {
  const names = all.map(({ name }) => name)
  return all.flatMap(({ name, needs = [] }, i) => {
    const before = names.slice(0, i)
    const missing = needs.filter((need) => !before.includes(need))
    return [
      ...(/^[a-z][a-z0-9-]*$/.test(name) ? [] : [`the name of a feature has a-z, 0-9 and -, not ${name}`]),
      ...(before.includes(name) ? [`two features are named ${name}`] : []),
      ...missing.map((need) =>
        names.includes(need)
          ? `the feature ${name} needs ${need}, which must come before it in the list`
          : `the feature ${name} needs ${need}, and there is no such feature`,
      ),
    ]
  })
}

function problemsOfChoice(names: readonly string[], { only, off }: Choice): string[] {
  const unknown = (variable: string, given: readonly string[]) =>
    given
      .filter((name) => !names.includes(name))
      .map((name) => `${variable} names ${name}, and there are only ${names.join(', ')}`)
  const both = only !== undefined && off.length > 0
  return [
    ...unknown('FEATURES', only ?? []),
    ...unknown('FEATURES_OFF', off),
    ...(both
      ? ['FEATURES and FEATURES_OFF are both set: the one names what runs, the other what does not']
      : []),
  ]
}
