// What makes a start cheap is in the image and is used: the bundle, and what V8 compiled of it at the build.
import { boot, bootReady, removeAll } from '../helpers/image.ts'

afterAll(removeAll)

/** What Node says of the cache for each file that this command loads. */
const uses = (command: string) =>
  `NODE_DEBUG_NATIVE=COMPILE_CACHE ${command} 2>&1 >/dev/null | grep -E 'was (accepted|rejected)|reading cache .*\\.\\.\\.' ; true`

test('each file of ours is loaded from the compile cache, by the users of the app and of the operator', async () => {
  const samovar = await bootReady()
  for (const user of ['samovar', 'root']) {
    const said = await samovar.exec(uses('node /app/dist/embedded.js'), user)
    const alone = await samovar.exec(uses('node /app/dist/embedded-alone.js'), user)
    expect(alone).toContain('/app/dist/embedded-alone.js was accepted')
    expect(said).toContain('/app/dist/embedded.js was accepted')
    const files = said.split('\n').filter((line) => line.includes('reading cache'))
    expect(files.length).toBeGreaterThan(2)
    expect(files.filter((line) => !line.includes('success'))).toEqual([])
    expect(said).not.toContain('rejected')
  }
  // It was written by an app that started and answered.
  expect(await samovar.exec('ls /app/compile-cache/filled')).toContain('filled')
  // The app itself, and pm2, do not write there.
  expect(await samovar.exec('find /app -user samovar; find /app -perm /022 ! -type l')).toBe('')
})

test('a wrong configuration is said in a few words, without a stack', async () => {
  const samovar = await boot({ env: { PORT: 'eighty' } })
  expect(await samovar.exitCode()).toBe(78)
  const text = await samovar.text()
  expect(text).toContain('The configuration is not usable:\n  - PORT')
  expect(text).not.toMatch(/^\s+at /m)
})
