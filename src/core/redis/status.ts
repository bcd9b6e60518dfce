// One status for the whole app, made of both roles: stats, health, logs and the page show the same.
import type { RoleStatus } from './failover.ts'
import type { Status } from './failover-machine.ts'

export interface AppStatus {
  readonly status: Status
  /** When that status began, ms since the epoch. */
  readonly sinceMs: number
  readonly activations: number
  readonly servedCalls: number
}

/** `redis` only when every role is in Redis; `merging` when one merges; else `memory`. */
export function combineStatus(roles: readonly RoleStatus[]): AppStatus {
  const having = (status: Status) =>
    roles.filter((role) => role.status === status).map(({ sinceMs }) => sinceMs)
  const sum = (name: 'activations' | 'servedCalls') => roles.reduce((total, role) => total + role[name], 0)
  const counts = { activations: sum('activations'), servedCalls: sum('servedCalls') }
  const [inMemory, merging] = [having('memory'), having('merging')]
  if (merging.length > 0) return { status: 'merging', sinceMs: Math.min(...merging), ...counts }
  if (inMemory.length > 0) return { status: 'memory', sinceMs: Math.min(...inMemory), ...counts }
  return { status: 'redis', sinceMs: Math.max(...having('redis')), ...counts }
}
