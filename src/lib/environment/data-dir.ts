// Which directory may be DATA_DIR.
import { isAbsolute, normalize } from 'node:path'

/** Directories that the image changes the owner of, or empties, at the cost of what is in there. */
const TAKEN = new RegExp(
  '^/(?:app(?:/(?:dist|image|node_modules))?|bin|boot|dev|etc|lib|lib32|lib64|proc|root|run|sbin|sys|' +
    'usr(?:/(?:bin|lib|lib64|libexec|sbin|share|local(?:/(?:bin|lib|sbin|share))?))?|var(?:/(?:lib|run))?)?$|' +
    '^/(?:proc|sys)/',
)

/** What is wrong with it; `runDir`: inside the image, where its parts meet. */
export function dataDirProblem(path: string, runDir: string | undefined): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'DATA_DIR has a line break or a control character in it'
  if (runDir === undefined) return undefined
  if (!isAbsolute(path)) return 'DATA_DIR must be an absolute path inside the container, such as /data'
  const plain = normalize(path)
    .replace(/(?<=.)\/+$/, '')
    .replace(/^\/var\/run(?=\/)/, '/run') // a link
  if (TAKEN.test(plain)) return `DATA_DIR must be a directory of its own, such as /data, not ${plain}`
  if (plain === runDir || plain.startsWith(`${runDir}/`))
    return `DATA_DIR must not be in ${runDir}, which is emptied at each start`
  return undefined
}
