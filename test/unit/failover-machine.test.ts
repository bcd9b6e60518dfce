// Every transition of the failover, one row each: state, event → state, effects.
import {
  AFTER_BUG,
  type Effect,
  type FailoverEvent,
  type FailoverState,
  type Failure,
  initialState,
  PROBE,
  START_GRACE_MS,
  transition,
} from '../../src/core/redis/failover-machine.ts'

const AWAY_MS = 1_000
const NOW_MS = 2_000
const LATER_MS = AWAY_MS + START_GRACE_MS

const failure = (reason: Failure['reason']): Failure => ({ reason, message: `${reason}!` })
const at = (type: 'started' | 'probe succeeded' | 'stopped'): FailoverEvent => ({ type, atMs: NOW_MS })
const failed = (
  type: 'connection lost' | 'probe failed' | 'merge failed',
  why = failure('lost'),
  atMs = NOW_MS,
) => ({ type, failure: why, atMs }) as const
const call = (why: Failure, slowCallRate = 0): FailoverEvent => ({
  type: 'call failed',
  failure: why,
  slowCallRate,
  atMs: NOW_MS,
})
const merged = (isPending: boolean): FailoverEvent => ({ type: 'merge finished', isPending, atMs: NOW_MS })

const redis: FailoverState = { status: 'redis', sinceMs: AWAY_MS, activations: 3, isStopped: false }
/** Redis was left in an outage that operators know of. */
const away = {
  sinceMs: AWAY_MS,
  isAnnounced: true,
  announceFromMs: AWAY_MS,
  tries: 2,
  bugs: 0,
  failure: failure('lost'),
}
/** The process has just started: no outage yet. */
const starting = { ...away, isAnnounced: false, announceFromMs: LATER_MS, failure: undefined }
const memory = (known = {}, goodProbes: 0 | 1 = 0): FailoverState => ({
  status: 'memory',
  sinceMs: 1_500,
  activations: 3,
  isStopped: false,
  goodProbes,
  away: { ...away, ...known },
})
const merging = (known = {}): FailoverState => ({
  status: 'merging',
  sinceMs: 1_500,
  activations: 3,
  isStopped: false,
  away: { ...away, ...known },
})
const since = (state: FailoverState, sinceMs: number, activations = 3) => ({ ...state, sinceMs, activations })
const stopped = (state: FailoverState) => ({ ...state, isStopped: true })

const DROP: Effect = { type: 'drop connection' }
const LEFT: Effect = { type: 'notify left' }
const MERGE: Effect = { type: 'merge', awaySinceMs: AWAY_MS }
const probe = (opens: boolean, afterMs: number): Effect => ({ type: 'probe', opens, afterMs })
const announce = (why: Failure, awaySinceMs = AWAY_MS): Effect => ({
  type: 'announce outage',
  failure: why,
  awaySinceMs,
})
const returned = (wasAnnounced: boolean): Effect => ({
  type: 'notify returned',
  wasAnnounced,
  awaySinceMs: AWAY_MS,
})

/** Redis was left now, for this reason. */
const left = (why: Failure) =>
  since(memory({ sinceMs: NOW_MS, announceFromMs: NOW_MS, tries: 1, failure: why }), NOW_MS, 4)

type Row = [name: string, FailoverState, FailoverEvent, FailoverState, readonly Effect[]]

const rows: Row[] = [
  // redis
  ...(['lost', 'refused'] as const).map((reason): Row => {
    const why = failure(reason)
    const effects = [LEFT, announce(why, NOW_MS), probe(true, PROBE.firstMs)]
    return [`redis: a call failed (${reason})`, redis, call(why), left(why), effects]
  }),
  [
    'redis: a call failed (silent)',
    redis,
    call(failure('silent')),
    left(failure('silent')),
    [LEFT, announce(failure('silent'), NOW_MS), DROP, probe(true, PROBE.firstMs)],
  ],
  ['redis: half of the calls are slow', redis, call(failure('slow'), 0.5), redis, []],
  [
    'redis: more than half of the calls are slow',
    redis,
    call(failure('slow'), 0.51),
    left(failure('slow')),
    [LEFT, announce(failure('slow'), NOW_MS), probe(true, PROBE.firstMs)],
  ],
  ['redis: a request has used up its deadline', redis, call(failure('deadline'), 1), redis, []],
  [
    'redis: the connection is lost',
    redis,
    failed('connection lost'),
    left(failure('lost')),
    [LEFT, announce(failure('lost'), NOW_MS), probe(true, PROBE.firstMs)],
  ],
  ['redis: started', redis, at('started'), redis, []],
  ['redis: a probe succeeded', redis, at('probe succeeded'), redis, []],
  ['redis: a probe failed', redis, failed('probe failed'), redis, []],
  ['redis: a merge finished', redis, merged(false), redis, []],
  ['redis: a merge failed', redis, failed('merge failed'), redis, []],

  // memory
  [
    'memory: started',
    memory(starting),
    at('started'),
    memory({ ...starting, announceFromMs: NOW_MS + START_GRACE_MS }),
    [probe(true, 0)],
  ],
  [
    'memory: a first probe succeeded',
    memory(),
    at('probe succeeded'),
    memory({ tries: 3 }, 1),
    [probe(false, 4 * PROBE.firstMs)],
  ],
  [
    'memory: a second probe succeeded',
    memory({}, 1),
    at('probe succeeded'),
    since(merging(), NOW_MS),
    [MERGE],
  ],
  [
    'memory: a first probe failed',
    memory(),
    failed('probe failed', failure('refused')),
    memory({ tries: 3, failure: failure('refused') }),
    [DROP, probe(true, 4 * PROBE.firstMs)],
  ],
  [
    'memory: a second probe failed',
    memory({}, 1),
    failed('probe failed'),
    memory({ tries: 3 }),
    [DROP, probe(true, 4 * PROBE.firstMs)],
  ],
  [
    'memory: the back-off has a cap',
    memory({ tries: 50 }),
    failed('probe failed'),
    memory({ tries: 51 }),
    [DROP, probe(true, PROBE.capMs)],
  ],
  [
    'memory: a probe failed soon after the start',
    memory(starting),
    failed('probe failed', failure('lost'), LATER_MS - 1),
    memory({ ...starting, tries: 3, failure: failure('lost') }),
    [DROP, probe(true, 4 * PROBE.firstMs)],
  ],
  [
    'memory: a probe failed some time after the start, which is an outage',
    memory(starting),
    failed('probe failed', failure('lost'), LATER_MS),
    since(memory({ ...starting, isAnnounced: true, tries: 3, failure: failure('lost') }), 1_500, 4),
    [DROP, announce(failure('lost')), probe(true, 4 * PROBE.firstMs)],
  ],
  [
    'memory: a probe failed by a bug',
    memory({ bugs: 1 }),
    failed('probe failed', failure('bug')),
    memory({ tries: 3, bugs: 2, failure: failure('bug') }),
    [DROP, probe(true, 2 * AFTER_BUG.firstMs)],
  ],
  ...(['lost', 'refused', 'silent', 'slow', 'deadline'] as const).map(
    (reason): Row => [
      `memory: a call of before failed (${reason})`,
      memory(),
      call(failure(reason), 1),
      memory(),
      [],
    ],
  ),
  ['memory: the connection is lost', memory({}, 1), failed('connection lost'), memory({}, 1), []],
  ['memory: a merge that was cut off failed', memory(), failed('merge failed'), memory(), []],
  ['memory: a merge that was cut off finished', memory(), merged(false), memory(), []],

  // merging
  ['merging: more is pending', merging(), merged(true), merging(), [MERGE]],
  ['merging: nothing is pending', merging(), merged(false), since(redis, NOW_MS), [returned(true)]],
  [
    'merging: nothing is pending, for the first time since the start',
    merging(starting),
    merged(false),
    since(redis, NOW_MS),
    [returned(false)],
  ],
  [
    'merging: the merge failed',
    merging(),
    failed('merge failed', failure('slow')),
    since(memory({ tries: 3, failure: failure('slow') }), NOW_MS),
    [DROP, probe(true, 4 * PROBE.firstMs)],
  ],
  [
    'merging: the merge failed some time after the start, which is an outage',
    merging(starting),
    failed('merge failed', failure('refused'), LATER_MS),
    since(memory({ ...starting, isAnnounced: true, tries: 3, failure: failure('refused') }), LATER_MS, 4),
    [DROP, announce(failure('refused')), probe(true, 4 * PROBE.firstMs)],
  ],
  [
    'merging: the merge failed by a bug',
    merging(),
    failed('merge failed', failure('bug')),
    since(memory({ tries: 3, bugs: 1, failure: failure('bug') }), NOW_MS),
    [DROP, probe(true, AFTER_BUG.firstMs)],
  ],
  [
    'merging: a bug again and again',
    merging({ bugs: 40 }),
    failed('merge failed', failure('bug')),
    since(memory({ tries: 3, bugs: 41, failure: failure('bug') }), NOW_MS),
    [DROP, probe(true, AFTER_BUG.capMs)],
  ],
  [
    'merging: the connection is lost',
    merging(),
    failed('connection lost', failure('lost')),
    since(memory({ tries: 1 }), NOW_MS),
    [probe(true, PROBE.firstMs)],
  ],
  [
    'merging: the connection is lost some time after the start, which is an outage',
    merging(starting),
    failed('connection lost', failure('lost'), LATER_MS),
    since(memory({ ...starting, isAnnounced: true, tries: 1, failure: failure('lost') }), LATER_MS, 4),
    [announce(failure('lost')), probe(true, PROBE.firstMs)],
  ],
  [
    'merging: a call failed (refused)',
    merging(),
    call(failure('refused')),
    since(memory({ tries: 1, failure: failure('refused') }), NOW_MS),
    [probe(true, PROBE.firstMs)],
  ],
  [
    'merging: a call failed (silent)',
    merging(),
    call(failure('silent')),
    since(memory({ tries: 1, failure: failure('silent') }), NOW_MS),
    [DROP, probe(true, PROBE.firstMs)],
  ],
  ['merging: half of the calls are slow', merging(), call(failure('slow'), 0.5), merging(), []],
  ['merging: a request has used up its deadline', merging(), call(failure('deadline')), merging(), []],
  ['merging: started', merging(), at('started'), merging(), []],
  ['merging: a probe succeeded', merging(), at('probe succeeded'), merging(), []],
  ['merging: a probe failed', merging(), failed('probe failed'), merging(), []],

  // stopped
  ...[redis, memory(), merging()].flatMap((state): Row[] => [
    [`${state.status}: stopped`, state, at('stopped'), stopped(state), [{ type: 'close connection' }]],
    ...[
      at('started'),
      at('stopped'),
      at('probe succeeded'),
      failed('probe failed'),
      failed('merge failed'),
      failed('connection lost'),
      merged(false),
      call(failure('lost')),
    ].map(
      (event): Row => [
        `${state.status}, stopped: ${event.type}`,
        stopped(state),
        event,
        stopped(state),
        [DROP],
      ],
    ),
  ]),
]

test.each(rows)('%s', (_name, before, event, after, effects) => {
  expect(transition(before, event)).toEqual([after, effects])
})

test('each state has a row for each event', () => {
  const types = (status: string) =>
    new Set(
      rows
        .filter(([, state]) => state.status === status && !state.isStopped)
        .map(([, , event]) => event.type),
    )
  for (const status of ['redis', 'memory', 'merging']) expect(types(status).size).toBe(8)
})

test('a process begins in memory, with nothing to announce', () => {
  expect(initialState(AWAY_MS)).toEqual({
    ...memory({ ...starting, announceFromMs: AWAY_MS, tries: 0 }),
    sinceMs: AWAY_MS,
    activations: 0,
  })
})
