// node scripts/test-summary.js <folder>: what Jest's reports in the folder say together. The slowest ten tests, how
// long the files of each group took, and last of all the line with the totals.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const [folder] = process.argv.slice(2)
const runs = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
const files = runs.flatMap((run) => run.testResults)
const seconds = (ms) => `${(ms / 1000).toFixed(1).padStart(8)} s`

console.log('\nslowest tests')
const tests = files.flatMap((file) => file.assertionResults)
tests.sort((a, b) => (b.duration ?? 0) - (a.duration ?? 0))
for (const { fullName, duration } of tests.slice(0, 10)) console.log(seconds(duration ?? 0), ` ${fullName}`)

console.log('\ngroups (files of one may run in parallel)')
const groups = new Map()
for (const { name, startTime, endTime } of files) {
  const group = dirname(name).split('/').at(-1)
  groups.set(group, (groups.get(group) ?? 0) + endTime - startTime)
}
for (const [group, ms] of groups) console.log(seconds(ms), ` ${group}`)

const sum = (count) => runs.reduce((total, run) => total + count(run), 0)
// A file that cannot even be loaded has no tests, and counts as one that failed.
const failures = sum((run) => run.numFailedTests + run.numRuntimeErrorTestSuites)
console.log(`\n${sum((run) => run.numPassedTests)} passed, ${failures} failed`)
