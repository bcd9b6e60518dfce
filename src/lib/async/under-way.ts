// What is under way for each key: what is not answered yet is not known yet.

export interface UnderWay {
  /** Does the work, telling it whether nothing else was under way for the key when it began. */
  during<T>(key: string, work: (isAlone: boolean) => Promise<T>): Promise<T>
}

export function createUnderWay(): UnderWay {
  const counts = new Map<string, number>()
  return {
    async during(key, work) {
      const before = counts.get(key) ?? 0
      counts.set(key, before + 1)
      try {
        return await work(before === 0)
      } finally {
        const left = (counts.get(key) ?? 1) - 1
        if (left === 0) counts.delete(key)
        else counts.set(key, left)
      }
    },
  }
}
