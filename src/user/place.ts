// Where in the user's files something is, as `file:line`: what an error says about itself, or the place of a word.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MOST_CHECKED = 20
const MOST_CAUSES = 5
const CHECK_MS = 10_000

/** The first place below `dir` in the error's stack, but for packages that are installed there. */
export const placeIn = (error: unknown, dir: string): string | undefined =>
  placesIn(error).find((place) => place.startsWith(`${dir}/`) && !place.includes('/node_modules/'))

/** The first place below that folder, in packages too; undefined where the stack names none. */
export const placeBelow = (error: unknown, folder: string): string | undefined =>
  placesIn(error).find((place) => place.startsWith(folder))

/** Of the error, then of what caused it: `fetch failed` itself has none. */
function placesIn(error: unknown, depth = 0): string[] {
  const { stack, cause } = (error ?? {}) as Error
  const found = String(stack ?? '').match(/(?:file:\/\/)?\/[^\n()]*?\.[cm]?[jt]sx?:\d+/g) ?? []
  const own = found.map((text) => (text.startsWith('file:') ? decoded(text) : text))
  return cause === undefined || depth > MOST_CAUSES ? own : [...own, ...placesIn(cause, depth + 1)]
}

function decoded(text: string): string {
  const [, url = '', line] = /^(.*):(\d+)$/.exec(text) ?? []
  return `${fileURLToPath(url)}:${line}`
}

/** Where that file first has the text; the file alone where it has not. */
export function placeOf(text: string | RegExp, file: string): string {
  const lines = textOf(file).split('\n')
  const at = lines.findIndex((line) => (typeof text === 'string' ? line.includes(text) : text.test(line)))
  return at < 0 ? file : `${file}:${at + 1}`
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // what cannot be read has no place
  }
}

/**
 * Why a file could not be loaded, and where, in one sentence: Node itself does not say where a word of JavaScript is
 * wrong, nor which line imports what is not there. `loaded`: what was read before, the last one last.
 */
export function whyNotLoaded(error: unknown, file: string, dir: string, loaded: readonly string[]): string {
  const { code, message = String(error) } = (error ?? {}) as NodeJS.ErrnoException
  const [, what, importer] =
    /^Cannot find (?:package|module) '([^']*)'(?: imported from |\nRequire stack:\n- )([^\n]*)/.exec(
      message,
    ) ?? []
  if (/MODULE_NOT_FOUND$/.test(code ?? '') && what !== undefined && importer?.startsWith(dir)) {
    const name = what.split('/').at(-1) ?? what
    const isPackage = !/^[./]/.test(what)
    const hint = isPackage ? `: npm install ${what} in ${dir}` : ''
    return `${placeOf(isPackage ? what : name, importer)} imports ${what}, which is not there${hint}`
  }
  const place = placeIn(error, dir) ?? (error instanceof SyntaxError ? placeOfSyntax(loaded) : undefined)
  return `${place ?? file} cannot be loaded: ${sentenceOf(error)}`
}

/** Asks Node to compile each, which then names the line. */
function placeOfSyntax(files: readonly string[]): string | undefined {
  for (const file of files.slice(-MOST_CHECKED).reverse()) {
    try {
      execFileSync(process.execPath, ['--check', file], { stdio: 'pipe', timeout: CHECK_MS })
    } catch (error) {
      const said = String((error as { stderr?: Buffer }).stderr)
      const [place] = said.split('\n')
      if (place?.startsWith(file)) return place
    }
  }
  return undefined
}

/** An error in one line: its kind and message. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`
  const [line = ''] = error.message.split('\n')
  return line === '' ? error.name : `${error.name}: ${line}`
}
