// The control of the image tests: a container of the same image under the same limits, with a bare Node server in place
// of all that Samovar is. What the machine does to it at a moment, it does to Samovar, too.
import { type Container, type Options, startContainer } from './image.ts'

// It reads what is sent and answers with a byte.
const SERVER = `require('node:http')
  .createServer((request, response) => request.resume().on('end', () => response.end('.')))
  .listen(8080)`

export function bootBare(options: Options = {}): Promise<Container> {
  return startContainer(options, ['node', '-e', SERVER])
}

/** The answer to the work, and how long bare containers took to start beside it, one after another: the median. */
export async function besideBareStarts<T>(limits: Options, work: Promise<T>) {
  const tookMs: number[] = []
  let isDone = false
  async function startBare(): Promise<void> {
    while (!isDone || tookMs.length === 0) {
      const bare = await bootBare(limits)
      tookMs.push(await bare.firstAnswerMs('/'))
      await bare.remove()
    }
  }
  const done = () => {
    isDone = true
  }
  const [answer] = await Promise.all([work.finally(done), startBare()])
  return { answer, bareMs: tookMs.sort((a, b) => a - b)[tookMs.length >> 1] as number }
}
