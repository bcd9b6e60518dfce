// The command `samovar`, for the operator: `docker exec … samovar token`, or `node src/cli/samovar.ts token`.
import { readAdminVariables } from '../config.ts'
import { adminTokenPath, readAdminToken, UnusableToken } from '../core/files/admin-token.ts'
import { Failure, Misuse } from './failure.ts'
import { jobsCommand } from './jobs.ts'

const EXIT_USAGE = 2

interface Command {
  readonly about: string
  /** What it prints; throws a Failure with the one line that is said instead, or a Misuse. */
  run(words: readonly string[]): string | Promise<string>
}

const commands: Readonly<Record<string, Command>> = {
  token: {
    about: 'prints the admin token: ADMIN_TOKEN, or the one made at the first start',
    run(words) {
      if (words.length > 0) throw new Misuse('token takes no arguments')
      return adminToken()
    },
  },
  jobs: {
    about: 'jobs dead lists the dead letters, jobs retry ID runs one of them again',
    run: (words) => jobsCommand(words, { port: readAdminVariables().port, token: adminToken() }),
  },
}

const usage = () => `usage: samovar COMMAND

${Object.entries(commands)
  .map(([name, { about }]) => `  ${name.padEnd(10)}${about}`)
  .join('\n')}
  --help    prints this`

function adminToken(): string {
  const { adminToken, dataDir } = readAdminVariables()
  if (adminToken) return adminToken
  let token: string | undefined
  try {
    token = readAdminToken(dataDir)
  } catch (error) {
    if (error instanceof UnusableToken) throw new Failure(error.message)
    const { code } = error as NodeJS.ErrnoException
    throw new Failure(
      `${adminTokenPath(dataDir)} cannot be read (${code}): run this as root, or as the user of the app`,
    )
  }
  if (token === undefined)
    throw new Failure(`no admin token in ${dataDir} yet: the app makes one when it starts there`)
  return token
}

async function main([name, ...words]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(`${usage()}\n`)
    return 0
  }
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  try {
    if (!command) throw new Misuse(name === undefined ? 'no command' : `no command "${name}"`)
    process.stdout.write(`${await command.run(words)}\n`)
    return 0
  } catch (error) {
    if (error instanceof Misuse) {
      process.stderr.write(`samovar: ${error.message}; samovar --help lists the commands\n`)
      return EXIT_USAGE
    }
    if (!(error instanceof Failure)) throw error
    process.stderr.write(`samovar: ${error.message}\n`)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
