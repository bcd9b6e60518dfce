// One status for the whole app, made of both roles: stats, health, logs and the page show the same.
import type { RoleStatus } from './failover.ts'
import type { Status } from './failover-state.ts'

export interface AppStatus {
  readonly status: Status
  /** When that status began, ms since the epoch; never earlier than what was said before. */
  readonly sinceMs: number
  readonly activations: number
  readonly blips: number
  readonly reconnects: number
  readonly servedCalls: number
}

export interface Role {
  status(): RoleStatus
  /** Calls back after each change of `status().status`. */
  onStatus(listener: () => void): void
}

/** A status lasts as long as the app has it, also when another role causes it now. */
export function createAppStatus(roles: readonly Role[]): () => AppStatus {
  let status = combined()
  let sinceMs = latest()

  function combined(): Status {
    const statuses = new Set(roles.map((role) => role.status().status))
    if (statuses.has('merging')) return 'merging'
    return statuses.has('memory') ? 'memory' : 'redis'
  }

  /** Of a role that has just changed: when that was. */
  function latest(): number {
    return Math.max(...roles.map((role) => role.status().sinceMs))
  }

  function update(): void {
    const now = combined()
    if (now === status) return
    status = now
    sinceMs = Math.max(sinceMs, latest())
  }
  for (const role of roles) role.onStatus(update)

  return () => {
    const each = roles.map((role) => role.status())
    const sum = (name: 'activations' | 'blips' | 'reconnects' | 'servedCalls') =>
      each.reduce((total, role) => total + role[name], 0)
    return {
      status,
      sinceMs,
      activations: sum('activations'),
      blips: sum('blips'),
      reconnects: sum('reconnects'),
      servedCalls: sum('servedCalls'),
    }
  }
}
