// Whose error it is: a line of the log about it names the feature.

const owners = new WeakMap<object, string>()

/** The same error, or one that says what was thrown where it was none. */
export function blame(thrown: unknown, feature: string): object {
  const error = typeof thrown === 'object' && thrown !== null ? thrown : new Error(`threw ${String(thrown)}`)
  if (!owners.has(error)) owners.set(error, feature)
  return error
}

/** Undefined where nobody is to blame, or the app is. */
export function blamed(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null ? owners.get(error) : undefined
}
