// A subscriber that remembers what it was given, in order, and what is wrong with it: what the contract of the bus
// promises every subscriber, through any fault of Redis.
import type { Bus, BusMessage, Gap, Position, Subscription } from '../../src/core/bus/bus.ts'

export interface Listener {
  readonly subscription: Subscription
  readonly messages: BusMessage[]
  readonly gaps: Gap[]
  /** One sentence for each message that came twice, out of order, or after others that nobody spoke of. */
  readonly wrongs: string[]
  data(): unknown[]
  /** Where it is by what it was told. */
  position(): Position
}

export async function listen(
  bus: Bus,
  channel: string,
  { since, capacity, wait }: { since?: Position; capacity?: number; wait?: () => Promise<void> } = {},
): Promise<Listener> {
  const messages: BusMessage[] = []
  const gaps: Gap[] = []
  const wrongs: string[] = []
  const ids = new Set<string>()
  let at: Position | undefined

  function took(message: BusMessage): void {
    const { id, epoch, offset } = message
    if (ids.has(id)) wrongs.push(`${id} came twice`)
    if (epoch !== at?.epoch) wrongs.push(`${id} is of ${epoch}, which was not announced`)
    else if (offset !== at.offset + 1) wrongs.push(`${offset} came after ${at.offset}`)
    at = { epoch, offset }
    ids.add(id)
    messages.push(message)
  }

  function heard(gap: Gap): void {
    if (gap.to.epoch === at?.epoch && gap.to.offset < at.offset)
      wrongs.push(`a gap went back to ${gap.to.offset}`)
    at = gap.to
    gaps.push(gap)
  }
  const subscription = await bus.subscribe(
    channel,
    {
      message(message) {
        took(message)
        return wait?.()
      },
      gap: (gap) => heard(gap),
      ...(capacity && { capacity }),
    },
    since,
  )
  const { missed, position } = subscription
  if (missed.length > 0) at = { epoch: position.epoch, offset: (missed[0] as BusMessage).offset - 1 }
  for (const message of missed) took(message)
  at = position
  return {
    subscription,
    messages,
    gaps,
    wrongs,
    data: () => messages.map(({ data }) => data),
    position: () => at as Position,
  }
}
