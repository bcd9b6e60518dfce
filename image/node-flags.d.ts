export function appFlags(heapMb: number): string[]
