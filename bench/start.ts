// A start of the image, from `docker run` to the first 200 of /readyz, in seconds of processor: what a quarter of a core
// makes of it is four times as long. Beside an image of another commit, one after the other, round by round.
import { setTimeout as pause } from 'node:timers/promises'
import { removeAll, startContainer, until } from '../test/helpers/image.ts'
import type { Benchmark } from './report.ts'
import { formatRatio, median } from './statistics.ts'

const { SAMOVAR_IMAGE = 'samovar:test', SAMOVAR_IMAGE_BEFORE, SAMOVAR_START_ROUNDS = '7' } = process.env
const ROUNDS = Number(SAMOVAR_START_ROUNDS)
const IDLE_MS = 10_000
const MIB = 1024 * 1024

interface Measured {
  readonly readyCpuS: number
  readonly readyS: number
  /** Ten seconds later: the servers have started, and jobs run. */
  readonly idleCpuS: number
  readonly idleMib: number
}

async function measure(image: string): Promise<Measured> {
  const container = await startContainer({ image, memoryMb: 512 })
  const usage = async () => {
    const { cpu_stats: cpu, memory_stats: memory } = await container.raw.stats({
      stream: false,
      'one-shot': true,
    })
    const cached = memory.stats.total_inactive_file ?? memory.stats.inactive_file ?? 0
    return { cpuS: cpu.cpu_usage.total_usage / 1e9, mib: (memory.usage - cached) / MIB }
  }
  try {
    const tookMs = await container.firstAnswerMs('/readyz')
    const ready = await usage()
    await until('Redis is used', async () =>
      (await (await container.get('/api/cache/stats')).text()).includes('"status":"redis"'),
    )
    await pause(IDLE_MS)
    const idle = await usage()
    return { readyCpuS: ready.cpuS, readyS: tookMs / 1_000, idleCpuS: idle.cpuS, idleMib: idle.mib }
  } finally {
    await container.remove()
  }
}

export const start: Benchmark = {
  summary: 'a start of the image SAMOVAR_IMAGE in seconds of processor, beside SAMOVAR_IMAGE_BEFORE',
  async run() {
    const images = [SAMOVAR_IMAGE, ...(SAMOVAR_IMAGE_BEFORE ? [SAMOVAR_IMAGE_BEFORE] : [])]
    const rounds = images.map((): Measured[] => [])
    try {
      for (let round = 0; round < ROUNDS; round += 1)
        for (const [at, image] of images.entries()) rounds[at]?.push(await measure(image))
    } finally {
      await removeAll()
    }
    const column = (at: number, name: keyof Measured) => (rounds[at] ?? []).map((measured) => measured[name])
    const middle = (at: number, name: keyof Measured, digits: number) =>
      median(column(at, name)).toFixed(digits)
    return [
      {
        title: `A start of the image: medians of ${ROUNDS}`,
        columns: [
          '',
          'CPU to /readyz 200',
          '÷ the last row (min–max)',
          'wall clock',
          'CPU ten seconds after Redis is used',
          'idle memory',
        ],
        rows: images.map((image, at) => [
          image,
          `${middle(at, 'readyCpuS', 2)} s`,
          formatRatio(column(at, 'readyCpuS'), column(images.length - 1, 'readyCpuS')),
          `${middle(at, 'readyS', 1)} s`,
          `${middle(at, 'idleCpuS', 2)} s`,
          `${middle(at, 'idleMib', 0)} MiB`,
        ]),
        note: 'The ratio holds on other machines; seconds do not. Memory is that of the container, without what the kernel may drop.',
      },
    ]
  },
}
