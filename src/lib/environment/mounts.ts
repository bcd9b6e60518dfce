// On which file system a directory is, by /proc/self/mountinfo. man 5 proc_pid_mountinfo

export interface Mount {
  readonly point: string
  readonly type: string
}

/** The mount that holds the path; undefined where the text says nothing of it. */
export function mountOf(mountinfo: string, path: string): Mount | undefined {
  let found: Mount | undefined
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const point = unescaped(before.split(' ')[4] ?? '')
    const type = after.split(' ')[0] ?? ''
    if (point === '' || !isBelow(path, point)) continue
    // Of two at one point the later one lies on top.
    if (!found || point.length >= found.point.length) found = { point, type }
  }
  return found
}

/** Whether what is written below the path outlives the container; a sentence where it does not. */
export function volumeWarning(mountinfo: string, path: string): string | undefined {
  const mount = mountOf(mountinfo, path)
  if (!mount) return undefined
  const isMemory = mount.type === 'tmpfs' || mount.type === 'ramfs'
  if (mount.point !== '/' && !isMemory) return undefined
  const where = isMemory ? 'in memory (tmpfs)' : 'no volume'
  return `DATA_DIR, ${path}, is ${where}: what is kept there is lost with the container. Mount a volume there`
}

const isBelow = (path: string, point: string) =>
  point === '/' || path === point || path.startsWith(`${point}/`)

/** Spaces, tabs, line breaks and backslashes stand there as octal numbers. */
const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
