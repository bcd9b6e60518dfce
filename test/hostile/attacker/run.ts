// node run.ts ATTACK TARGET OPTIONS: one attack, from the container that this runs in. Ends with a line of what the
// attacker saw.
import * as connections from './connections.ts'
import * as requests from './requests.ts'
import * as sockets from './sockets.ts'
import type { Attack, Options, Target } from './tools.ts'

const attacks: Record<string, Attack> = { ...connections, ...requests, ...sockets }

const [name = '', target = '', options = ''] = process.argv.slice(2)
const attack = attacks[name]
if (!attack) throw new Error(`no attack ${name}: ${Object.keys(attacks).join(', ')}`)
const counts = await attack(JSON.parse(target) as Target, JSON.parse(options) as Options)
console.log(`saw ${JSON.stringify(counts)}`)
process.exit(0)
