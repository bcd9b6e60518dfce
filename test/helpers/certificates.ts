// An authority of our own, and certificates that it signs, made with openssl below a directory.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface KeyPair {
  /** The text, in PEM. */
  readonly key: string
  readonly certificate: string
}

export interface Authority {
  /** Of its certificate. */
  readonly path: string
  readonly certificate: string
  /** `names`: as in subjectAltName, `DNS:db.example` or `IP:127.0.0.1`. */
  sign(commonName: string, names: readonly string[]): KeyPair
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export function createAuthority(dir: string, name: string): Authority {
  const at = (file: string) => join(dir, `${name}-${file}`)
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: dir, stdio: 'pipe' })
  const own = ['-x509', '-days', '2', '-subj', `/CN=${name}`]
  openssl('req', ...KEY, ...own, '-out', at('ca.crt'), '-keyout', at('ca.key'))
  let signed = 0
  return {
    path: at('ca.crt'),
    certificate: readFileSync(at('ca.crt'), 'utf8'),
    sign(commonName, names) {
      signed += 1
      const [key, request, certificate, extensions] = ['key', 'csr', 'crt', 'ext'].map((end) =>
        at(`${signed}.${end}`),
      ) as [string, string, string, string]
      openssl('req', '-new', ...KEY, '-subj', `/CN=${commonName}`, '-out', request, '-keyout', key)
      writeFileSync(extensions, names.length > 0 ? `subjectAltName=${names.join(',')}\n` : '')
      const by = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', extensions]
      openssl('x509', '-req', '-days', '2', '-in', request, '-out', certificate, ...by)
      return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') }
    },
  }
}
