// What a command says instead of its result: one line.

export class Failure extends Error {}

/** The words after a command are not what it takes. */
export class Misuse extends Error {}
