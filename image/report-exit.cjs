// Loaded before the app in each of its processes. Leaves in the run directory what pm2 keeps to itself:
// a byte for each start, which the guard counts, and the code of an end that was not a clean one.
const { appendFileSync, writeFileSync } = require('node:fs')
const { isMainThread } = require('node:worker_threads')

const runDir = process.env.SAMOVAR_RUN_DIR
if (runDir && isMainThread) {
  appendFileSync(`${runDir}/app-starts`, '.')
  process.on('exit', (code) => {
    if (code) writeFileSync(`${runDir}/app-exit-code`, String(code))
  })
}
