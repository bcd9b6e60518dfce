// Lets in together as much as fits, the others in the order in which they came. One that is larger than all there is
// room for goes alone.

export interface Gate {
  enter(size: number): Promise<void>
  leave(size: number): void
}

export function createGate(mostInside: number): Gate {
  const waiting: { readonly size: number; readonly enter: () => void }[] = []
  let inside = 0

  function letIn(): void {
    for (
      let next = waiting[0];
      next && (inside === 0 || inside + next.size <= mostInside);
      next = waiting[0]
    ) {
      waiting.shift()
      inside += next.size
      next.enter()
    }
  }

  return {
    enter: (size) =>
      new Promise((enter) => {
        waiting.push({ size, enter })
        letIn()
      }),
    leave(size) {
      inside -= size
      letIn()
    },
  }
}
