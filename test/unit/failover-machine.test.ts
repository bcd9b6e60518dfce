// Every transition of the failover, one row each: state, event → state, effects.
import {
  AFTER_BUG,
  initialState,
  PROBE,
  SETTLED_MS,
  SLOW_MERGES,
  START_GRACE_MS,
  transition,
} from '../../src/core/redis/failover-machine.ts'
import {
  type Away,
  type Effect,
  type FailoverEvent,
  type FailoverState,
  type Failure,
  type In,
  publicStatus,
  type Return,
} from '../../src/core/redis/failover-state.ts'

const AWAY_MS = 1_000
const NOW_MS = 2_000
const LATER_MS = AWAY_MS + START_GRACE_MS
/** Another clock than the wall's: its times are of another size. */
const steady = (atMs: number) => atMs - 700
const BUDGET_MS = 100

const failure = (reason: Failure['reason']): Failure => ({ reason, message: `${reason}!` })
const moment = (atMs: number) => ({ atMs, steadyMs: steady(atMs) })
const at = (type: 'started' | 'probe succeeded' | 'stopped' | 'loss found'): FailoverEvent => ({
  type,
  ...moment(NOW_MS),
})
const failed = (
  type: 'connection lost' | 'probe failed' | 'merge failed',
  why = failure('lost'),
  atMs = NOW_MS,
) => ({ type, failure: why, ...moment(atMs) }) as const
const call = (why: Failure, slowCallRate = 0): FailoverEvent => ({
  type: 'call failed',
  failure: why,
  slowCallRate,
  forMs: BUDGET_MS,
  ...moment(NOW_MS),
})
const merged = (isPending: boolean): FailoverEvent => ({
  type: 'merge finished',
  isPending,
  ...moment(NOW_MS),
})

const counts = { activations: 3, blips: 5, reconnects: 7, isStopped: false }
const asked = (backMs: number): FailoverState => ({ status: 'redis', sinceMs: AWAY_MS, ...counts, backMs })
/** For long. */
const redis = asked(steady(NOW_MS) - SETTLED_MS)
const back = { ...redis, sinceMs: NOW_MS, backMs: steady(NOW_MS) }
/** Redis was left in an outage that operators know of. */
const away: Away = {
  sinceMs: AWAY_MS,
  steadySinceMs: steady(AWAY_MS),
  doubt: undefined,
  isAnnounced: true,
  announceFromMs: steady(AWAY_MS),
  tries: 2,
  bugs: 0,
  failure: failure('lost'),
}
/** The process has just started: no outage yet. */
const starting = { ...away, isAnnounced: false, announceFromMs: steady(LATER_MS), failure: undefined }
const memory = (known = {}, goodProbes: 0 | 1 = 0): FailoverState => ({
  status: 'memory',
  sinceMs: 1_500,
  ...counts,
  goodProbes,
  away: { ...away, ...known },
})
const merging = (known = {}, isKept = false): In<'merging'> => ({
  status: 'merging',
  sinceMs: 1_500,
  ...counts,
  isKept,
  away: { ...away, ...known },
})
/** Redis was left for this reason, `forMs` before now, and is asked once more. */
const doubted = (doubt: 'silent' | 'cut', forMs = doubt === 'silent' ? BUDGET_MS : 0): Away => ({
  sinceMs: NOW_MS - forMs,
  steadySinceMs: steady(NOW_MS) - forMs,
  doubt,
  isAnnounced: false,
  announceFromMs: steady(NOW_MS) - forMs,
  tries: 0,
  bugs: 0,
  failure: failure(doubt === 'cut' ? 'lost' : 'silent'),
})
const suspect = (doubt: 'silent' | 'cut', asks: 'again' | 'anew'): In<'suspect'> => ({
  status: 'suspect',
  sinceMs: AWAY_MS,
  ...counts,
  asks,
  away: doubted(doubt),
})
const resuming = (doubt: 'silent' | 'cut', isKept: boolean): In<'merging'> => ({
  ...merging(doubted(doubt), isKept),
  sinceMs: AWAY_MS,
})
/** It was an outage. */
const leftAfter = (doubt: 'silent' | 'cut', why: Failure, known = {}): FailoverState => ({
  ...memory({ ...doubted(doubt), doubt: undefined, isAnnounced: true, tries: 1, failure: why, ...known }),
  sinceMs: NOW_MS,
  activations: 4,
})
const since = (state: FailoverState, sinceMs: number, activations = 3) => ({ ...state, sinceMs, activations })
const stopped = (state: FailoverState) => ({ ...state, isStopped: true })

const DROP: Effect = { type: 'drop connection' }
const LEFT: Effect = { type: 'notify left' }
const CUT: Effect = { type: 'notify cut' }
const ABANDON: Effect = { type: 'abandon calls' }
const MERGE: Effect = { type: 'merge', awaySinceMs: AWAY_MS, isKept: false }
const mergeAfter = (doubt: 'silent' | 'cut', isKept: boolean): Effect => ({
  type: 'merge',
  awaySinceMs: doubted(doubt).sinceMs,
  isKept,
})
const askAnew = (withinBudgets: number): Effect => ({
  type: 'probe',
  opens: true,
  afterMs: 0,
  withinBudgets,
})
const probe = (opens: boolean, afterMs: number): Effect => ({ type: 'probe', opens, afterMs })
const announce = (why: Failure, awaySinceMs = AWAY_MS): Effect => ({
  type: 'announce outage',
  failure: why,
  awaySinceMs,
})
const returned = (after: Return['after'], isKept = false, tookMs = NOW_MS - AWAY_MS): Effect => ({
  type: 'notify returned',
  after,
  isKept,
  tookMs,
})
/** What happens when it was an outage after all. */
const leaving = (doubt: 'silent' | 'cut', why: Failure, afterMs = PROBE.firstMs) => [
  LEFT,
  announce(why, doubted(doubt).sinceMs),
  DROP,
  probe(true, afterMs),
]

/** Redis was left now, for this reason. */
const left = (why: Failure) => leftAfter('cut', why)

type Row = [name: string, FailoverState, FailoverEvent, FailoverState, readonly Effect[]]

const rows: Row[] = [
  // redis
  [
    'redis: a call failed (refused)',
    redis,
    call(failure('refused')),
    left(failure('refused')),
    [LEFT, announce(failure('refused'), NOW_MS), DROP, probe(true, PROBE.firstMs)],
  ],
  [
    'redis: a call failed (silent)',
    redis,
    call(failure('silent')),
    suspect('silent', 'again'),
    [ABANDON, probe(false, 0)],
  ],
  [
    'redis: silent soon after it came back, whose doubt does not begin before that',
    { ...back, sinceMs: NOW_MS - 1 },
    call(failure('silent')),
    {
      ...suspect('silent', 'again'),
      sinceMs: NOW_MS - 1,
      away: { ...doubted('silent'), sinceMs: NOW_MS - 1 },
    },
    [ABANDON, probe(false, 0)],
  ],
  ['redis: a call failed (lost)', redis, call(failure('lost')), suspect('cut', 'anew'), [CUT, askAnew(2)]],
  ['redis: half of the calls are slow', redis, call(failure('slow'), 0.5), redis, []],
  [
    'redis: more than half of the calls are slow',
    redis,
    call(failure('slow'), 0.51),
    left(failure('slow')),
    [LEFT, announce(failure('slow'), NOW_MS), DROP, probe(true, PROBE.firstMs)],
  ],
  ['redis: a request has used up its deadline', redis, call(failure('deadline'), 1), redis, []],
  [
    'redis: the connection is lost',
    redis,
    failed('connection lost'),
    suspect('cut', 'anew'),
    [CUT, askAnew(2)],
  ],
  [
    'redis: the connection is lost again, before it had lasted',
    asked(steady(NOW_MS) - SETTLED_MS + 1),
    failed('connection lost'),
    left(failure('lost')),
    [LEFT, announce(failure('lost'), NOW_MS), DROP, probe(true, PROBE.firstMs)],
  ],
  ['redis: a loss is found', redis, at('loss found'), redis, []],
  ['redis: started', redis, at('started'), redis, []],
  ['redis: a probe succeeded', redis, at('probe succeeded'), redis, []],
  ['redis: a probe failed', redis, failed('probe failed'), redis, []],
  ['redis: a merge finished', redis, merged(false), redis, []],
  ['redis: a merge failed', redis, failed('merge failed'), redis, []],

  // suspect
  [
    'suspect: the same connection answers',
    suspect('silent', 'again'),
    at('probe succeeded'),
    resuming('silent', true),
    [mergeAfter('silent', true)],
  ],
  ...(['silent', 'slow', 'lost'] as const).map(
    (reason): Row => [
      `suspect: the same connection does not answer (${reason})`,
      suspect('silent', 'again'),
      failed('probe failed', failure(reason)),
      suspect('silent', 'anew'),
      [DROP, CUT, askAnew(1)],
    ],
  ),
  [
    'suspect: the same connection refuses',
    suspect('silent', 'again'),
    failed('probe failed', failure('refused')),
    leftAfter('silent', failure('refused')),
    leaving('silent', failure('refused')),
  ],
  [
    'suspect: a bug of ours',
    suspect('silent', 'again'),
    failed('probe failed', failure('bug')),
    leftAfter('silent', failure('bug'), { bugs: 1 }),
    leaving('silent', failure('bug'), AFTER_BUG.firstMs),
  ],
  ...(['silent', 'cut'] as const).flatMap((doubt): Row[] => [
    [
      `suspect (${doubt}): a new connection answers`,
      suspect(doubt, 'anew'),
      at('probe succeeded'),
      resuming(doubt, false),
      [mergeAfter(doubt, false)],
    ],
    [
      `suspect (${doubt}): a new connection does not answer either`,
      suspect(doubt, 'anew'),
      failed('probe failed', failure('slow')),
      leftAfter(doubt, doubted(doubt).failure as Failure),
      leaving(doubt, doubted(doubt).failure as Failure),
    ],
    [
      `suspect (${doubt}): a new connection is refused, which says more`,
      suspect(doubt, 'anew'),
      failed('probe failed', failure('refused')),
      leftAfter(doubt, failure('refused')),
      leaving(doubt, failure('refused')),
    ],
  ]),
  ...[
    at('started'),
    at('loss found'),
    call(failure('lost')),
    failed('connection lost'),
    failed('merge failed'),
    merged(false),
  ].map(
    (event): Row => [
      `suspect: ${event.type}`,
      suspect('silent', 'again'),
      event,
      suspect('silent', 'again'),
      [],
    ],
  ),

  // memory
  [
    'memory: started',
    memory(starting),
    at('started'),
    memory({ ...starting, announceFromMs: steady(NOW_MS) + START_GRACE_MS }),
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
  ['memory: a loss is found', memory(), at('loss found'), memory(), []],
  ['memory: a merge that was cut off finished', memory(), merged(false), memory(), []],

  // merging
  ['merging: more is pending', merging(), merged(true), merging(), [MERGE]],
  ['merging: nothing is pending', merging(), merged(false), back, [returned('outage')]],
  [
    'merging: nothing is pending, for the first time since the start',
    merging(starting),
    merged(false),
    back,
    [returned('start')],
  ],
  [
    'merging: it waits for the other role, on its connection',
    merging(starting),
    failed('merge failed', failure('waiting')),
    { ...memory({ ...starting, tries: starting.tries + 1, failure: failure('waiting') }), sinceMs: NOW_MS },
    [{ type: 'probe', opens: false, afterMs: expect.any(Number) as unknown as number }],
  ],
  ['merging: a loss is found, in an outage', merging(), at('loss found'), merging(), []],
  ...([true, false] as const).map(
    (isKept): Row => [
      `merging after a silence, ${isKept ? 'the same' : 'a new'} connection: nothing is pending`,
      resuming('silent', isKept),
      merged(false),
      { ...back, sinceMs: AWAY_MS, blips: 6 },
      [returned('blip', isKept, BUDGET_MS)],
    ],
  ),
  [
    'merging after a cut: nothing is pending',
    resuming('cut', false),
    merged(false),
    { ...back, sinceMs: AWAY_MS, reconnects: 8 },
    [returned('reconnect', false, 0)],
  ],
  [
    'merging after a silence: more is pending',
    resuming('silent', true),
    merged(true),
    resuming('silent', true),
    [mergeAfter('silent', true)],
  ],
  [
    'merging after a cut: a loss is found, so that it was an outage',
    resuming('cut', false),
    at('loss found'),
    {
      ...merging({ ...doubted('cut'), doubt: undefined, isAnnounced: true }),
      sinceMs: NOW_MS,
      activations: 4,
    },
    [LEFT, announce(failure('lost'), NOW_MS)],
  ],
  ...(['silent', 'cut'] as const).flatMap((doubt): Row[] => [
    [
      `merging after a doubt (${doubt}): the merge failed`,
      resuming(doubt, false),
      failed('merge failed', failure('silent')),
      leftAfter(doubt, failure('silent')),
      leaving(doubt, failure('silent')),
    ],
    [
      `merging after a doubt (${doubt}): the merge was slow`,
      resuming(doubt, false),
      failed('merge failed', failure('slow')),
      { ...resuming(doubt, false), away: { ...doubted(doubt), tries: 1 } },
      [mergeAfter(doubt, false)],
    ],
    [
      `merging after a doubt (${doubt}): the merge was slow too often`,
      { ...resuming(doubt, false), away: { ...doubted(doubt), tries: SLOW_MERGES } },
      failed('merge failed', failure('slow')),
      leftAfter(doubt, failure('slow')),
      leaving(doubt, failure('slow')),
    ],
    [
      `merging after a doubt (${doubt}): the connection is lost`,
      resuming(doubt, false),
      failed('connection lost'),
      leftAfter(doubt, failure('lost')),
      leaving(doubt, failure('lost')),
    ],
  ]),
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
  ...[redis, suspect('cut', 'anew'), memory(), merging()].flatMap((state): Row[] => [
    [`${state.status}: stopped`, state, at('stopped'), stopped(state), [{ type: 'close connection' }]],
    ...[
      at('started'),
      at('stopped'),
      at('probe succeeded'),
      at('loss found'),
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
  for (const status of ['redis', 'suspect', 'memory', 'merging']) expect(types(status).size).toBe(9)
})

test('a process begins in memory, with nothing to announce', () => {
  expect(initialState(moment(AWAY_MS))).toEqual({
    ...memory({ ...starting, announceFromMs: steady(AWAY_MS), tries: 0 }),
    sinceMs: AWAY_MS,
    activations: 0,
    blips: 0,
    reconnects: 0,
  })
})

test('a doubt is told to nobody', () => {
  const told = [redis, suspect('silent', 'again'), resuming('cut', false), memory(), merging()].map(
    publicStatus,
  )
  expect(told).toEqual(['redis', 'redis', 'redis', 'memory', 'merging'])
})

test('what an outage costs in time does not depend on the wall clock', () => {
  const before = transition(merging(), {
    type: 'merge finished',
    isPending: false,
    atMs: NOW_MS,
    steadyMs: 5_000,
  })
  expect(before[1]).toEqual([returned('outage', false, 5_000 - steady(AWAY_MS))])
})
