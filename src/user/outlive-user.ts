// What the user's code throws where nobody waits for it, a promise that is let go or a timer's call, must not end the
// app: it is logged by its feature, and everything else goes on. An error of the app's own still ends the process.
import type { Log } from '../log.ts'
import type { UserApp } from './open-user-folder.ts'

/** True where the error is the user's, and was logged. Unhandled rejections of theirs come here as well. */
export function outliveUser(user: Pick<UserApp, 'ownerOf'>, log: Log): (error: unknown) => boolean {
  return function outlive(error) {
    const owner = user.ownerOf(error)
    if (!owner) return false
    const { feature, place } = owner
    log.error(
      { feature, place, err: error },
      `the feature ${feature} failed where nothing waits for it, at ${place}: an await, or a catch, is missing`,
    )
    return true
  }
}
