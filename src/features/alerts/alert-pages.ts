// The users' open pages, in this process and in others: a crossing reaches them over the channel layer.
import type { Bus, Json } from '../../core/bus/bus.ts'
import { messageText } from './alert-words.ts'
import type { Sender } from './delivery/deliver-alerts.ts'

/** What a page gets: a crossing, or that some may be missing; then it asks for the last ones. */
type Notice =
  | { readonly type: 'crossing'; readonly crossing: Json; readonly text: string }
  | { readonly type: 'missed' }

export interface AlertPages extends Sender {
  /** `notify` gets every crossing of the user from now on, until the returned function is called. */
  listen(userId: string, notify: (text: string) => void): Promise<() => void>
}

const channelOf = (userId: string) => `alerts:${userId}`

export function createAlertPages({ bus }: { bus: Pick<Bus, 'publish' | 'subscribe'> }): AlertPages {
  return {
    async send({ userId, language, crossing }) {
      const notice: Notice = {
        type: 'crossing',
        crossing: { ...crossing },
        text: messageText(crossing, language),
      }
      await bus.publish(channelOf(userId), notice)
      return { kind: 'sent' }
    },
    async listen(userId, notify) {
      const missed: Notice = { type: 'missed' }
      const subscription = await bus.subscribe(channelOf(userId), {
        message: ({ data }) => notify(JSON.stringify(data)),
        gap: () => notify(JSON.stringify(missed)),
      })
      return () => subscription.close()
    },
  }
}
