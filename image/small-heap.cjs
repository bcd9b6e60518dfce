// Loaded before the app in each of its processes: V8 keeps the heap small while there is little to do, and gives that up
// while there is much. Small (--optimize-for-size) saves 20 MiB of an idle app and costs half of the requests that a
// busy one could answer. As a flag of the command line it would also set the young generation to 1 MB, whatever
// --max-semi-space-size says.
const { setFlagsFromString } = require('node:v8')
const { isMainThread } = require('node:worker_threads')

const START_MS = 10_000 // a start is busy, and what it leaves is to be small
const LOOK_MS = 1_000
const BUSY = 0.3 // of the time of the event loop
const QUIET = 0.1
const QUIET_LOOKS = 10

/** Told of each look how much of its time the event loop was at work; says whether the heap is to be small. */
function createHeapMode() {
  let isSmall = true
  let quiet = 0
  return (share) => {
    quiet = share < QUIET ? quiet + 1 : 0
    if (share > BUSY) isSmall = false
    else if (quiet >= QUIET_LOOKS) isSmall = true
    return isSmall
  }
}

function keepSmallWhileIdle() {
  const { eventLoopUtilization } = performance
  const mode = createHeapMode()
  let isSmall = true
  let before = eventLoopUtilization()
  const small = () => setFlagsFromString('--optimize-for-size')
  small()
  // V8 believes cached code only under the flags that it was written with: those of the next start, not of this moment.
  process.on('exit', small)
  setTimeout(() => {
    setInterval(() => {
      const now = eventLoopUtilization()
      const wanted = mode(eventLoopUtilization(now, before).utilization)
      before = now
      if (wanted === isSmall) return
      isSmall = wanted
      if (isSmall) small()
      else setFlagsFromString('--no-optimize-for-size')
    }, LOOK_MS).unref()
  }, START_MS).unref()
}

if (isMainThread && process.execArgv.some((flag) => flag.endsWith('small-heap.cjs'))) keepSmallWhileIdle()

module.exports = { createHeapMode }
