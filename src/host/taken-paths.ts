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
        problems.push(`the path ${path} of the feature ${feature} is taken by ${owner}`)
      else owners.set(path, feature)
    }
  }
  return problems
}

/** With a colon for each parameter, so that its name does not count; routes do not tell /API from /api. */
function pathsOf({ routes, rawRoutes, sockets = [] }: Setup): string[] {
  const paths = [...sockets.map(({ path }) => path), ...[routes, rawRoutes].flatMap(routed)]
  return paths.map((path) => path.replace(/:\w+/g, ':').toLowerCase())
}

function routed(router: Router | undefined): string[] {
  return (router?.stack ?? []).flatMap(({ route, handle }) => {
    if (route) return [route.path].flat().map(String)
    const nested = handle as unknown as Partial<Router>
    return Array.isArray(nested.stack) ? routed(nested as Router) : []
  })
}
