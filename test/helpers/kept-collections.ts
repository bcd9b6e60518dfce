// Finds the maps, sets and lists of src that live as long as what keeps them: those that a maker (`createX`, `openX`)
// or a module declares, and those in what it declares. Local ones end with their function.
import { parseSync } from '@swc/core'

interface Node {
  readonly type: string
  readonly [property: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'

const IS_MAKER = /^(create|open|connect|serve|start|over|wrap|pace|group|limit)[A-Z]?/
const FUNCTIONS = /^(Function(Declaration|Expression)|ArrowFunctionExpression|\w*Method\w*)$/
const IS_CONSTANT = /^[A-Z][A-Z_]*$/

const nameOf = (node: unknown): string => (isNode(node) && typeof node.value === 'string' ? node.value : '')

/** Empty when it begins, so that something is put into it later: filled ones are tables of constants. */
function isGrowing(value: unknown): boolean {
  if (!isNode(value)) return false
  if (value.type === 'NewExpression')
    return /^(Map|Set)$/.test(nameOf(value.callee)) && !(value.arguments as unknown[] | undefined)?.length
  return value.type === 'ArrayExpression' && (value.elements as unknown[]).length === 0
}

/** Whether the value, or something that it is made of, grows; what functions in it make is not looked at. */
function holdsGrowing(value: unknown): boolean {
  if (isGrowing(value)) return true
  if (typeof value !== 'object' || value === null) return false
  if (isNode(value) && FUNCTIONS.test(value.type)) return false
  if (isNode(value) && value.type === 'CallExpression') return false
  return Object.values(value).some(holdsGrowing)
}

/** `name` of each in this source, in order. */
export function keptCollectionsOf(source: string): string[] {
  const found: string[] = []
  function visit(value: unknown, isKept: boolean, called = ''): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const inner of value) visit(inner, isKept)
      return
    }
    const node = value as Node
    if (FUNCTIONS.test(node.type)) {
      const name = nameOf(node.identifier) || called
      for (const inner of Object.values(node)) visit(inner, IS_MAKER.test(name))
      return
    }
    if (node.type === 'VariableDeclarator') {
      const name = nameOf(node.id)
      if (isKept && !IS_CONSTANT.test(name) && holdsGrowing(node.init)) found.push(name)
      visit(node.init, isKept, name)
      return
    }
    for (const inner of Object.values(node)) visit(inner, isKept)
  }
  visit(parseSync(source, { syntax: 'typescript', target: 'es2022' }).body, true)
  return found
}
