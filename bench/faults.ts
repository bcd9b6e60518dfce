// The fault table (test/helpers/faults.ts) as figures: Samovar, and the same faults on the obvious stack.
import { openSamovarApart } from '../test/helpers/apart.ts'
import { type Contender, type Fault, type Outcome, runFault } from '../test/helpers/fault-world.ts'
import { faults as rows } from '../test/helpers/faults.ts'
import { openSamovar } from '../test/helpers/samovar-subject.ts'
import { openObviousStack } from './peers/obvious-stack.ts'
import { type Benchmark, formatMs, type Report } from './report.ts'

const columns = [
  'fault',
  'calls',
  'failed',
  'worst call',
  'redis / memory / merging, s',
  'back after',
  'missing',
  'came back',
  'over limit',
  'claimed twice',
]

export const faults: Benchmark = {
  summary: 'every fault of the test suite under traffic: Samovar, then the obvious stack',
  async run() {
    const ours = await table('Samovar', { open: openSamovar, openApart: openSamovarApart }, rows)
    // What the peers' libraries leave unhandled when their Redis goes would end the process and the table with it.
    let unhandled = 0
    const count = () => {
      unhandled += 1
    }
    process.on('unhandledRejection', count)
    try {
      const theirs = await table(
        'connect-redis, rate-limiter-flexible, bentocache, node-redis onto node-cache',
        { open: openObviousStack },
        rows.filter(({ needs }) => !needs),
      )
      const note =
        'Rejections that no caller could have handled, each of which ends a Node process by default: ' +
        `${unhandled}.`
      return [ours, { ...theirs, note: `The same columns. ${note}` }]
    } finally {
      process.off('unhandledRejection', count)
    }
  },
}

async function table(title: string, contender: Contender, some: readonly Fault[]): Promise<Report> {
  const lines: string[][] = []
  for (const fault of some) {
    process.stderr.write(`  ${title}: ${fault.name}\n`)
    lines.push(cells(await runFault(fault, contender)))
  }
  return {
    title,
    columns,
    rows: lines,
    note:
      'Calls that ended in an error or never (failed; state_full apart, in brackets), the slowest of them, how long ' +
      'each status lasted, how long after the end of the fault Redis was used again and had everything. Then what ' +
      'a stranger found in Redis, and what callers met: acknowledged writes that were missing, destroyed or cleared ' +
      'things that came back, hits over a limit of 5, claims given to a second caller.',
  }
}

function cells({ name, calls, failed, refused, worstMs, msIn, backMs, ...found }: Outcome): string[] {
  const seconds = (ms: number) => (ms / 1_000).toFixed(1)
  return [
    name,
    String(calls),
    refused > 0 ? `${failed} (${refused})` : String(failed),
    formatMs(worstMs),
    [msIn.redis, msIn.memory, msIn.merging].map(seconds).join(' / '),
    backMs === undefined ? 'never' : formatMs(backMs),
    ...[found.missing, found.cameBack, found.overLimit, found.claimedTwice].map(String),
  ]
}
