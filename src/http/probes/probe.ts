// What the platform asks again and again: is the process alive, is it ready.

/** A GET that is answered from memory alone, before Express and whatever else is going on. */
export interface Probe {
  /** As it is in the URL; no parameters. */
  readonly path: string
  /** Must take no time: it is called for every request, of a flood as well. */
  answer(): { readonly status: number; readonly body: object }
}
