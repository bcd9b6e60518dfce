// What a fault is. Each ends by itself, and says in a few words what it was.
import type { Random } from '../../test/helpers/random.ts'
import type { Role } from './inside.ts'
import type { Stage } from './stage.ts'

export interface Fault {
  readonly name: string
  /** Whether the app's process ends with it. */
  readonly endsApp: boolean
  readonly isRedeploy?: boolean
  run(stage: Stage, random: Random): Promise<string>
}

export const ROLES: readonly Role[] = ['cache', 'state']
