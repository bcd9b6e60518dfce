// A request as a command for a shell.
import type { MadeRequest } from './made.ts'

/** As the shell reads it: `$'…'` where it has more than plain characters. */
function quote(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`
  const escaped = [...Buffer.from(text)].map((byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  )
  return `$'${escaped.join('')}'`
}

export function curlOf({ method, target, headers, body }: MadeRequest): string {
  const words = ['curl', '-i', '--path-as-is', '-X', quote(method)]
  for (const [name, value] of headers) words.push('-H', quote(`${name}: ${value}`))
  // As octets: a text of the shell's cannot hold every byte.
  const octets = body.length > 0 ? `printf %s ${body.toString('base64')} | base64 -d | ` : ''
  if (body.length > 0) words.push('--data-binary', '@-')
  words.push(`"\${SAMOVAR:-http://localhost:8080}"${quote(target)}`)
  const note = headers.some(([name]) => name === 'Host')
    ? ' # with two Host headers, which curl does not send'
    : ''
  return octets + words.join(' ') + note
}
