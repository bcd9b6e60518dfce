// What may be logged of an error that others' data may have caused: its message may quote them, a parser's does.

/** The error's kind and where it was thrown, without its message. */
export function originOf(error: unknown): { error: string; at: string[] } {
  const { constructor, stack } = (error ?? {}) as { constructor?: { name: string }; stack?: string }
  return {
    error: constructor?.name ?? typeof error,
    at: String(stack ?? '')
      .split('\n')
      .filter((line) => line.startsWith('    at ')),
  }
}
