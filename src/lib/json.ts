// JSON that others have written: from Redis, from disk, from the network.

/** What stands for a value that cannot be read. */
export const corrupt = Symbol('corrupt')

/** The value of this JSON, or `corrupt`. */
export function parseJson(text: string): unknown | typeof corrupt {
  try {
    return JSON.parse(text)
  } catch {
    return corrupt
  }
}
