// Whose files these are. The file `installation` in the data directory knows the others: the installation's id, and of
// each file how far it had come and whether it was closed cleanly. Each database carries the id and its own sequence as
// well, and the names of its companions, so that the file itself may be lost.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { corrupt, type Guard, isNumber, isShape, isText, parseJson } from '../../lib/codec.ts'
import type { Log } from '../../log.ts'
import { createFileAlerts, type FileAlerts } from './file-alerts.ts'
import { sumOf } from './file-sums.ts'

const FILE = 'installation'
const OURS = ['samovar.db', 'records.db', 'session-secret']

/** What is known of a file from the outside. */
export interface KnownFile {
  /** It grows while the file is written, at most four times a second. */
  readonly sequence: number
  /** The checksum of its bytes, while nobody has it open. */
  readonly sum?: string
}

/** What a database says of itself. */
export interface FileMark {
  readonly id: string
  readonly generation: number
  readonly sequence: number
  readonly companions: readonly string[]
}

interface Registry {
  readonly id: string
  /** Grows with each process that begins to use the files. */
  readonly generation: number
  /** A name of this generation: another one has its number where the files are set back. */
  readonly run: string
  readonly files: Readonly<Record<string, KnownFile>>
}

export interface Installation {
  readonly alerts: FileAlerts
  id(): string
  generation(): number
  run(): string
  /** Undefined: as far as anybody knows, it has never been here. */
  known(file: string): KnownFile | undefined
  note(file: string, known: KnownFile): void
  /** What a database of this name may say of itself. Of what was last seen here: the file is not read for it. */
  lastSeen(file: string): FileMark
  /** A database says this of itself: where the file `installation` is lost, it is made again of that. */
  learn(mark: FileMark): void
}

/**
 * Without a directory it is of this process alone. `runDir`: where the image says that it found a volume without a
 * trace of an earlier life (image/entrypoint.sh).
 */
export function createInstallation(dataDir: string | undefined, log: Log, runDir?: string): Installation {
  const path = join(dataDir ?? '', FILE)
  const alerts = createFileAlerts(log)
  let last: Registry | undefined // as this process saw it, for a directory that cannot be written
  let isRebuilt = false

  /** Other processes of the app write it, too. */
  function read(): Registry {
    const found = readFile()
    if (found === corrupt) return last ?? rebuild()
    if (!last) return begin(found)
    last = found
    return found
  }

  function readFile() {
    if (dataDir === undefined) return corrupt
    const [body = '', sum] = textOf(path).split('\n')
    return sumOf(body) === sum ? parseJson(body, isRegistry) : corrupt
  }

  const begin = (registry: Omit<Registry, 'run'>) =>
    write({ ...registry, generation: registry.generation + 1, run: randomUUID() })

  function rebuild(): Registry {
    isRebuilt = true
    if (dataDir !== undefined && existsSync(path))
      log.warn({ path }, 'the file `installation` was damaged: it is made again of the others')
    return begin({ id: randomUUID(), generation: 0, files: filesHere() })
  }

  /** Where nobody has written down which files there are, and one of them is here, all of them should be. */
  function filesHere(): Registry['files'] {
    if (runDir !== undefined && existsSync(join(runDir, 'app', 'first'))) return {} // Redis may have begun before us
    const isThere = (name: string) => dataDir !== undefined && existsSync(join(dataDir, name))
    const isOld = [...OURS, join('state', 'appendonlydir')].some(isThere)
    return Object.fromEntries(isOld ? OURS.map((name) => [name, { sequence: 0 }]) : [])
  }

  /** Whole or not at all. Where it cannot be written, nothing is known at the next start. */
  function write(registry: Registry): Registry {
    const body = JSON.stringify(registry)
    last = registry
    if (dataDir === undefined) return registry
    try {
      mkdirSync(dataDir, { recursive: true })
      // A new name, never one that is there: the user of Redis may write in this directory, too.
      const beside = `${path}.${randomUUID()}`
      writeFileSync(beside, `${body}\n${sumOf(body)}\n`, { flag: 'wx' })
      renameSync(beside, path)
    } catch {
      // A directory that cannot be written: whoever keeps something in it says so.
    }
    return registry
  }

  return {
    alerts,
    id: () => read().id,
    generation: () => read().generation,
    run: () => read().run,
    known: (file) => read().files[file],
    lastSeen(file) {
      const { id, generation, files } = last ?? read()
      return { id, generation, sequence: files[file]?.sequence ?? 0, companions: Object.keys(files) }
    },
    note(file, known) {
      const registry = read()
      write({ ...registry, files: { ...registry.files, [file]: known } })
    },
    learn({ id, generation, companions }) {
      if (!isRebuilt) return
      isRebuilt = false
      const registry = read()
      const named = Object.fromEntries(companions.map((name) => [name, { sequence: 0 }]))
      write({
        ...registry,
        id,
        generation: Math.max(generation + 1, registry.generation),
        files: { ...named, ...registry.files },
      })
    },
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // not there, or not ours to read
  }
}

const isKnownFile: Guard<KnownFile> = isShape<Pick<KnownFile, 'sequence'>>({ sequence: isNumber })
const isFiles = (json: unknown): json is Registry['files'] =>
  typeof json === 'object' && json !== null && Object.values(json).every(isKnownFile)
const isRegistry: Guard<Registry> = isShape<Registry>({
  id: isText,
  generation: isNumber,
  run: isText,
  files: isFiles,
})
