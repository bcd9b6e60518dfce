// No two features may answer under one path: the second would never be asked. Pure.
import type { Router } from 'express'
import type { Setup } from '../feature.ts'

/** A sentence for each path that two features take. */
export function takenPaths(setups: ReadonlyMap<string, Setup>): string[] {
  const owners = new Map<string, string>()
  const problems: string[] = []
  for (const [feature, setup] of setups) {
    for (const path of new Set(pathsOf(setup))) {
      const owner = owners.get(path)
      if (owner !== undefined)
        problems.push(`the path ${path} of the feature ${feature} is taken by ${owner}${hint(path, owner)}`)
      else owners.set(path, feature)
    }
  }
  return problems
}

/** The one path that may be left to others. */
const hint = (path: string, owner: string) =>
  path === '/' && owner === 'page' ? ': HOME_PAGE=own leaves it to you' : ''

/** With a colon for each parameter, so that its name does not count; routes do not tell /API from /api. */
function pathsOf({ routes, rawRoutes, cached = [], probes = [], sockets = [] }: Setup): string[] {
  const paths = [
    ...[...cached, ...probes, ...sockets].map(({ path }) => path),
    ...[routes, rawRoutes].flatMap((router) => routed(router)),
  ]
  return paths.map((path) => path.replace(/:\w+/g, ':').toLowerCase())
}

/** A layer of a router; where it is mounted is in none of the types. */
interface Layer {
  readonly route?: { readonly path: string | readonly string[] }
  readonly handle: unknown
  readonly rawPath?: string | RegExp | readonly (string | RegExp)[]
}

/** Also what is mounted with `use` under a path of its own: files, a board, a router. */
function routed(router: Router | undefined, prefix = ''): string[] {
  return ((router?.stack ?? []) as unknown as Layer[]).flatMap(({ route, handle, rawPath = '/' }) => {
    const paths = [route?.path ?? rawPath].flat().map((path) => prefix + (path === '/' ? '' : String(path)))
    if (route) return paths.map((path) => path || '/')
    const nested = handle as Partial<Router>
    if (Array.isArray(nested.stack)) return paths.flatMap((path) => routed(nested as Router, path))
    return paths.filter((path) => path !== prefix)
  })
}
