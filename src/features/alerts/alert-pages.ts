// The users' open pages, in this process and in others: a crossing goes over the channel layer to wherever its user has one.
import type { Bus, Json } from '../../core/bus/bus.ts'
import { messageText } from './alert-words.ts'
import type { Sender } from './deliver-alerts.ts'

/** Told to a page: a crossing, or that some may be missing, and the page asks for the last ones. */
type Told =
  | { readonly type: 'crossing'; readonly crossing: Json; readonly text: string }
  | { readonly type: 'missed' }

export interface AlertPages extends Sender {
  /** `tell` gets every crossing of the user from now on, until what this resolves with is called. */
  listen(userId: string, tell: (text: string) => void): Promise<() => void>
}

const channelOf = (userId: string) => `alerts:${userId}`

export function createAlertPages({ bus }: { bus: Pick<Bus, 'publish' | 'subscribe'> }): AlertPages {
  return {
    async send({ userId, language, crossing }) {
      const told: Told = {
        type: 'crossing',
        crossing: { ...crossing },
        text: messageText(crossing, language),
      }
      await bus.publish(channelOf(userId), told)
      return { kind: 'sent' }
    },
    async listen(userId, tell) {
      const missed: Told = { type: 'missed' }
      const subscription = await bus.subscribe(channelOf(userId), {
        message: ({ data }) => tell(JSON.stringify(data)),
        gap: () => tell(JSON.stringify(missed)),
      })
      return () => subscription.close()
    },
  }
}
