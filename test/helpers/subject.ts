// What the fault suite drives: one process of an app that keeps sessions, claims, limits, marks and a cache in Redis.
// Samovar's own, a naive one, and in the benchmark the usual libraries.

export interface Subject {
  readSession(key: string): Promise<string | undefined>
  writeSession(key: string, text: string): Promise<unknown>
  destroySession(key: string): Promise<unknown>
  /** True for the first `who`. */
  claim(key: string, who: string): Promise<boolean>
  /** True when the hit is within the limit of `LIMIT` in a window of `KEPT_MS`. */
  hit(key: string, id: string): Promise<boolean>
  mark(key: string, number: number): Promise<unknown>
  marked(key: string): Promise<number | undefined>
  readCached(key: string, load: () => Promise<string>): Promise<string>
  invalidate(key: string): Promise<unknown>
  clear(): Promise<unknown>
  status(): 'redis' | 'memory' | 'merging'
  /** Whether Redis has everything. */
  isSettled(): boolean
  close(): Promise<void>
  /** kill -9, where the subject is a process of its own. */
  kill?(): Promise<void>
}

export interface SubjectOptions {
  cacheUrl: string
  stateUrl: string
  dataDir: string
  memoryBudgetBytes?: number | undefined
  /** How many processes write to this Redis; 1 unless said. */
  workers?: number | undefined
}

export type OpenSubject = (options: SubjectOptions) => Promise<Subject>

export const LIMIT = 5
/**
 * How long everything is kept, and the window of a limit: longer than a row, and shorter than the step of its clock.
 */
export const KEPT_MS = 30 * 60_000

/** A call whose caller died with it: nobody was told anything. */
export class NobodyAnswered extends Error {}
