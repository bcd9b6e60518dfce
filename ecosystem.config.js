// How pm2 runs the app inside the image. pm2 is the one layer that retries it, a few times; then the container ends.
import { appFlags } from './image/node-flags.js'

const { SAMOVAR_RUN_DIR, SAMOVAR_HEAP_MB = '160', WEB_CONCURRENCY = '1', SAMOVAR_SERVER } = process.env
const instances = Number(WEB_CONCURRENCY)
/** The user's own (src/user/server.ts), as dist/embedded.js understood it. */
const server = SAMOVAR_SERVER ? JSON.parse(SAMOVAR_SERVER) : undefined
const isInstead = server?.mode === 'instead'

const ours = [
  {
    name: 'samovar',
    script: 'dist/main.js',
    exec_mode: instances > 1 ? 'cluster' : 'fork',
    instances,
    node_args: [
      ...appFlags(Math.floor(Number(SAMOVAR_HEAP_MB) / instances)),
      '--require=/app/image/report-exit.cjs',
    ],
    pid_file: `${SAMOVAR_RUN_DIR}/pm2/app.pid`,
    out_file: '/dev/null',
    error_file: '/dev/null',
    wait_ready: true,
    listen_timeout: 20_000,
    kill_timeout: 4_000,
    min_uptime: 10_000,
    // Where pm2 gives the last of its programs up, it ends, and with it the container. With a server beside the app it
    // would go on without the app: there the guard, which counts as well, is the one that ends it.
    max_restarts: server ? 100 : 3,
    stop_exit_codes: [78],
    vizion: false,
    // Of pm2's own in the process of the app nothing is used.
    env: {
      pmx: 'false',
      disable_source_map_support: 'true',
      // Its own: V8 believes cached code only under the flags that it was written with (image/small-heap.cjs).
      NODE_COMPILE_CACHE: '/app/compile-cache/app',
    },
  },
]

const theirs = [
  {
    name: 'server',
    script: 'image/run-server',
    interpreter: 'python3',
    interpreter_args: '-I -S',
    cwd: '/app',
    pid_file: `${SAMOVAR_RUN_DIR}/pm2/server.pid`,
    out_file: '/dev/null',
    error_file: '/dev/null',
    kill_timeout: 4_000,
    min_uptime: 10_000,
    // Instead of the app, its end is the end of the container, as the app's is. Beside it the app goes on, and the
    // server is tried again and again, later each time.
    ...(isInstead ? { max_restarts: 3 } : { max_restarts: 1e9, exp_backoff_restart_delay: 500 }),
    vizion: false,
    env: { ...server?.env, pmx: 'false' },
  },
]

// pm2 reads this file only with exactly this export.
export const apps = [...(isInstead ? [] : ours), ...(server ? theirs : [])]
