// The command `samovar`, for the operator: `docker exec … samovar token`, or `node src/cli/samovar.ts token`.
import { readAdminVariables } from '../config.ts'
import { adminTokenPath, readAdminToken } from '../core/files/admin-token.ts'

const EXIT_USAGE = 2

interface Command {
  readonly about: string
  /** What it prints; throws a Failure with the one line that is said instead. */
  run(): string
}

class Failure extends Error {}

const commands: Readonly<Record<string, Command>> = {
  token: {
    about: 'prints the admin token: ADMIN_TOKEN, or the one made at the first start',
    run: printToken,
  },
}

const usage = () => `usage: samovar COMMAND

${Object.entries(commands)
  .map(([name, { about }]) => `  ${name.padEnd(10)}${about}`)
  .join('\n')}
  --help    prints this`

function printToken(): string {
  const { adminToken, dataDir } = readAdminVariables()
  if (adminToken) return adminToken
  let token: string | undefined
  try {
    token = readAdminToken(dataDir)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Failure(
      `${adminTokenPath(dataDir)} cannot be read (${code}): run this as root, or as the user of the app`,
    )
  }
  if (token === undefined)
    throw new Failure(`no admin token in ${dataDir} yet: the app makes one when it starts there`)
  return token
}

function main([name, ...rest]: readonly string[]): number {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(`${usage()}\n`)
    return 0
  }
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined || rest.length > 0) {
    const problem =
      name === undefined ? 'no command' : command ? `${name} takes no arguments` : `no command "${name}"`
    process.stderr.write(`samovar: ${problem}; samovar --help lists the commands\n`)
    return EXIT_USAGE
  }
  try {
    process.stdout.write(`${command.run()}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    process.stderr.write(`samovar: ${error.message}\n`)
    return 1
  }
}

process.exitCode = main(process.argv.slice(2))
