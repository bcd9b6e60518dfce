// The second thread of loop-watch.ts. The first one counts its beats; when they stop, the debugger is asked where it
// stands, and a line is written here, since the first thread can write none.
const { writeSync } = require('node:fs')
const { workerData } = require('node:worker_threads')

const LOOK_MS = 200
const { dir, isTerminal } = workerData
const beats = new Int32Array(workerData.beats)

let last = -1
let lookedAt = performance.now()
let stillMs = 0
let isHeldUp = false
let place = '' // that was said

function say(level, msg, more) {
  const line = { level, time: new Date().toISOString(), ...more, msg }
  const text = isTerminal ? msg : JSON.stringify(line)
  try {
    writeSync(1, `${text}\n`)
  } catch {
    // nobody reads the log
  }
}

/** The call of the user's own that is the innermost, rather than what it has called; '' where it is not the user's. */
function placeOf(frames, urls) {
  const places = frames.map(({ location, functionName }) => {
    const file = (urls.get(location.scriptId) ?? '').replace(/^file:\/\//, '')
    return { file, text: `${file}:${location.lineNumber + 1}${functionName ? ` (${functionName})` : ''}` }
  })
  const own = places.filter(({ file }) => file.startsWith(`${dir}/`))
  return (own.find(({ file }) => !file.includes('/node_modules/')) ?? own[0])?.text ?? ''
}

/** `then` gets the place where the first thread is. */
function look(then) {
  const { Session } = require('node:inspector')
  const session = new Session()
  const urls = new Map()
  session.connectToMainThread()
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url))
  session.on('Debugger.paused', ({ params }) => {
    const found = placeOf(params.callFrames, urls)
    session.post('Debugger.resume', () => session.disconnect())
    then(found)
  })
  session.post('Debugger.enable', () => session.post('Debugger.pause'))
}

setInterval(() => {
  const now = performance.now()
  // When both threads were stopped, that was nobody's work.
  const elapsedMs = Math.min(now - lookedAt, 2 * LOOK_MS)
  lookedAt = now
  const beat = Atomics.load(beats, 0)
  if (beat !== last) {
    if (place !== '')
      say('warn', `requests go on after ${((stillMs + elapsedMs) / 1_000).toFixed(1)} s at ${place}`, {
        place,
      })
    last = beat
    stillMs = 0
    isHeldUp = false
    place = ''
    return
  }
  stillMs += elapsedMs
  if (isHeldUp || stillMs < Atomics.load(beats, 1)) return
  isHeldUp = true
  look((found) => {
    if (!isHeldUp || found === '') return
    place = found
    const seconds = (stillMs / 1_000).toFixed(1)
    const next = 'do that work in steps, or in another process'
    say('error', `your code holds up every request for ${seconds} s so far, at ${place}: ${next}`, { place })
  })
}, LOOK_MS)
