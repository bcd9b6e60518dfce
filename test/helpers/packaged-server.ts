// Servers as other releases of Debian package them: scripts/servers fetches one when it is asked for first.
import { execFileSync } from 'node:child_process'

/** The command that runs it; undefined, with the reason on the console, where it cannot be had. */
export function packagedServer(release: string, name: string): readonly string[] | undefined {
  try {
    const words = ['scripts/servers', release, name]
    return execFileSync('sh', words, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
    })
      .trim()
      .split('\n')
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string }
    process.stderr.write(`not tried with ${name} of ${release}: ${stderr?.trim() || message}\n`)
    return undefined
  }
}
