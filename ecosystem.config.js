// How pm2 runs the app inside the image. pm2 is the one layer that retries it, a few times; then the container ends.
const { SAMOVAR_RUN_DIR, SAMOVAR_HEAP_MB = '160', WEB_CONCURRENCY = '1' } = process.env
const instances = Number(WEB_CONCURRENCY)

// pm2 reads this file only with exactly this export.
export const apps = [
  {
    name: 'samovar',
    script: 'dist/main.js',
    exec_mode: instances > 1 ? 'cluster' : 'fork',
    instances,
    node_args: [
      `--max-old-space-size=${Math.floor(Number(SAMOVAR_HEAP_MB) / instances)}`,
      '--max-semi-space-size=1', // MB; the default of 16 is kept once it has been used, and an idle app has no use for it
      '--optimize-for-size', // together with the line above: 134 MiB idle become fewer than 130
      '--require=/app/image/report-exit.cjs',
    ],
    pid_file: `${SAMOVAR_RUN_DIR}/pm2/app.pid`,
    out_file: '/dev/null',
    error_file: '/dev/null',
    wait_ready: true,
    listen_timeout: 20_000,
    kill_timeout: 4_000,
    min_uptime: 10_000,
    max_restarts: 3,
    stop_exit_codes: [78],
    vizion: false,
  },
]
