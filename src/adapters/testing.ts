// A container of Samovar for the tests of an app that talks to one, and the ways to break its Redis from there.
import { randomBytes } from 'node:crypto'
import { AbstractStartedContainer, GenericContainer, type StartedTestContainer, Wait } from 'testcontainers'
import type { OutageReport } from '../core/outages.ts'
import { isShape, isText, parseJson } from '../lib/codec.ts'

const PORT = 8080
const SERVERS = ['redis-cache', 'redis-state']
const DIRECTORY = '/run/samovar'

/** Sends both Redis servers of the image a signal, as a shell of root's in the container. */
export const signalServers = (signal: 'KILL' | 'STOP' | 'CONT'): string =>
  `kill -${signal} ${SERVERS.map((name) => `$(cat ${DIRECTORY}/${name}.pid)`).join(' ')}`

/** The state's server has a socket, the cache's a port, which its configuration says. */
const EMPTY_SERVERS =
  `redis-cli -e -p "$(sed -n 's/^port //p' ${DIRECTORY}/redis/redis-cache.conf)" FLUSHALL && ` +
  `redis-cli -e -s ${DIRECTORY}/redis-state.sock FLUSHALL`

/** What GET /api/cache/stats answers, as far as a test needs it. */
export interface SamovarStats {
  readonly status: 'redis' | 'memory' | 'merging'
  readonly [name: string]: unknown
}

const isStats = isShape<Pick<SamovarStats, 'status'>>({
  status: (json): json is SamovarStats['status'] => isText(json),
})

/** `await new SamovarContainer('samovar').start()`; the image's variables by `withEnvironment`. */
export class SamovarContainer extends GenericContainer {
  readonly #adminToken = randomBytes(24).toString('base64url')

  constructor(image: string) {
    super(image)
    this.withExposedPorts(PORT)
      .withEnvironment({ ADMIN_TOKEN: this.#adminToken })
      .withWaitStrategy(Wait.forHttp('/readyz', PORT))
  }

  override async start(): Promise<StartedSamovarContainer> {
    return new StartedSamovarContainer(await super.start(), this.#adminToken)
  }
}

export class StartedSamovarContainer extends AbstractStartedContainer {
  /** Where it answers, without a slash at the end. */
  readonly url: string
  /** Who has it may do what an admin may. */
  readonly adminToken: string

  constructor(container: StartedTestContainer, adminToken: string) {
    super(container)
    this.url = `http://${container.getHost()}:${container.getMappedPort(PORT)}`
    this.adminToken = adminToken
  }

  async stats(): Promise<SamovarStats> {
    const stats = parseJson(await this.#ask('/api/cache/stats'))
    if (!isStats(stats)) throw new Error('what it answered are no statistics')
    return stats as SamovarStats
  }

  /** Reports of the last 100 outages, newest first. */
  async outages(): Promise<readonly OutageReport[]> {
    return parseJson(await this.#ask('/api/outages')) as readonly OutageReport[]
  }

  /** kill -9 for both servers; the image starts them again by itself. */
  killRedis = () => this.#shell(signalServers('KILL'))
  /** Both keep their connections, and answer nothing until they are thawed. */
  freezeRedis = () => this.#shell(signalServers('STOP'))
  thawRedis = () => this.#shell(signalServers('CONT'))
  /** Both lose everything they hold. Not where `REDIS_URL` of the container has a password. */
  emptyRedis = () => this.#shell(EMPTY_SERVERS)

  async #ask(path: string): Promise<string> {
    const answer = await fetch(this.url + path, { headers: { authorization: `Bearer ${this.adminToken}` } })
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`)
    return answer.text()
  }

  async #shell(command: string): Promise<void> {
    const { exitCode, output } = await this.startedTestContainer.exec(['sh', '-c', command], { user: 'root' })
    if (exitCode !== 0) throw new Error(`${command}: ${output}`)
  }
}
