// The command line of the soak.
import { parseArgs } from 'node:util'
import { isPlantName, type PlantName, plantNames } from './plant-names.ts'

export interface Options {
  readonly minutes: number
  readonly seed: number
  readonly cpus: number
  readonly memoryMb: number
  readonly image: string
  /** How much is asked: 1 is some 25 calls a second. */
  readonly load: number
  readonly withRedeploys: boolean
  /** Only faults with these words in their names. */
  readonly only: string | undefined
  /** What is planted so that the run must fail. */
  readonly plant: PlantName | undefined
  /** Where the log of the containers goes. */
  readonly logFile: string | undefined
}

export class BadOptions extends Error {}

export const help = `npm run soak -- [options]

Runs a container of the image on a small plan, asks it over HTTP as many clients would, breaks it by a plan that the
seed decides, keeps a ledger of all that was acknowledged, and checks it at intervals and at the end.
Exit code: 0 when nothing was wrong, 1 when something was, 64 for a wrong command line.

  --minutes N        how long, default 30. Below 16 no slope of memory is judged: the life of a process is too short
  --seed N           decides the faults and what clients do, default 1
  --cpus N           of the container, default 0.5
  --memory SIZE      of the container, such as 256m, default 512m
  --image NAME       an image that is there; without it the image is built first, as npm run up does
  --load N           default 1: some 25 calls a second
  --no-redeploys     leaves out the redeploys: a second container on the same volume, then a stop of the first
  --only WORDS       only faults whose names have these words, such as 'killed'
  --plant KIND       makes the driver lie or breaks something behind its back: the run must fail.
                     ${plantNames.join(', ')}
  --log FILE         writes the containers' log there
`

/** Throws BadOptions with a sentence. */
export function readOptions(words: readonly string[]): Options | 'help' {
  const { values } = parsed(words)
  if (values.help) return 'help'
  const { plant, only } = values
  if (plant !== undefined && !isPlantName(plant)) {
    throw new BadOptions(`--plant ${plant} is none of ${plantNames.join(', ')}.`)
  }
  return {
    minutes: positive('minutes', values.minutes),
    seed: positive('seed', values.seed),
    cpus: positive('cpus', values.cpus),
    memoryMb: sizeMb(values.memory),
    image: values.image,
    load: positive('load', values.load),
    withRedeploys: !values['no-redeploys'],
    only,
    plant,
    logFile: values.log,
  }
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        minutes: { type: 'string', default: '30' },
        seed: { type: 'string', default: '1' },
        cpus: { type: 'string', default: '0.5' },
        memory: { type: 'string', default: '512m' },
        image: { type: 'string', default: 'samovar' },
        load: { type: 'string', default: '1' },
        'no-redeploys': { type: 'boolean', default: false },
        only: { type: 'string' },
        plant: { type: 'string' },
        log: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new BadOptions((error as Error).message)
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new BadOptions(`--${name} ${text} is no positive number.`)
  return value
}

function sizeMb(text: string): number {
  const [, digits, unit = 'm'] = /^(\d+)(m|g)$/i.exec(text) ?? []
  if (digits === undefined) throw new BadOptions(`--memory ${text} is no size such as 512m or 1g.`)
  return Number(digits) * (unit.toLowerCase() === 'g' ? 1_024 : 1)
}
