// What may be logged of an error that others' data may have caused: its message may quote them, a parser's does.

/** The error's kind and where it was thrown, without its message. */
export function originOf(error: unknown): { error: string; at: string[] } {
  const thrown = error as { constructor?: { name: string }; stack?: string } | undefined | null
  return {
    error: thrown?.constructor?.name ?? typeof error,
    at: String(thrown?.stack ?? '')
      .split('\n')
      .filter((line) => line.startsWith('    at ')),
  }
}
