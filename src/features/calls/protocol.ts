// The words of the socket, as schemas: one closed union each way, described for others in docs/features/calls.md.
import { z } from 'zod'
import type { Json } from '../../core/bus/bus.ts'
import { parseJson } from '../../lib/codec.ts'
import { plainText } from '../../lib/plain-text.ts'
import { isRoomName } from './room-name.ts'

export const MESSAGE_BYTES = 64 * 1024
const MOST_DEPTH = 16
const MOST_VALUES = 1_000

/**
 * What peers say to one another is any JSON, but not so deep that walking it overflows the stack, and not of so many
 * values that it takes far more memory than its text.
 */
const data = z.custom<Json>((value) => value !== undefined && isModest(value), 'must be JSON')
const peerId = plainText.min(1).max(64)
const position = z.object({ epoch: plainText.min(1).max(128), offset: z.int().min(0) })
const negotiationNumber = z.int().min(1)

export const clientMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('join'),
    room: z.string().refine(isRoomName, 'must be the name of a room'),
    /** What others see; a logged-in user has the name of the login. */
    name: plainText.trim().min(1).max(40).optional(),
    /** From `joined` or the last `pong`: who to be again. */
    resume: z.string().max(500).optional(),
    /** After which message to resume: the last of the room, and the last signal. */
    since: position.extend({ signals: position.optional() }).optional(),
  }),
  z.object({
    type: z.literal('signal'),
    to: peerId,
    data,
    /** The negotiation it belongs to; without one it opens the next. */
    n: negotiationNumber.optional(),
  }),
  z.object({ type: z.literal('say'), data }),
  z.object({ type: z.literal('leave') }),
  z.object({ type: z.literal('ping') }),
])
export type ClientMessage = z.infer<typeof clientMessage>
export type Since = NonNullable<Extract<ClientMessage, { type: 'join' }>['since']>

const peer = z.object({
  id: peerId,
  name: z.string(),
  /** Not logged in: the name is one that the peer chose. */
  guest: z.boolean(),
  /** Whether you give way to this peer when both of you open a negotiation concurrently. */
  polite: z.boolean(),
})
export type Peer = z.infer<typeof peer>

const iceServer = z.object({
  urls: z.union([z.string(), z.array(z.string())]),
  username: z.string().optional(),
  credential: z.string().optional(),
})

export const errorCodes = [
  'bad_message',
  'not_joined',
  'already_joined',
  'room_closed_to_you',
  'room_full',
  'no_such_peer',
  'too_many_messages',
  'too_many_joins',
  'unavailable',
] as const
export type ErrorCode = (typeof errorCodes)[number]

export const serverMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('joined'),
    you: z.object({ id: peerId, name: z.string(), guest: z.boolean(), resume: z.string() }),
    peers: z.array(peer),
    ...position.shape,
    signals: position,
    /** Whether you are who you were. */
    resumed: z.boolean(),
    /** Whether everything since `since` follows. */
    recovered: z.boolean(),
    /** As RTCConfiguration.iceServers. */
    iceServers: z.array(iceServer).readonly(),
  }),
  z.object({ type: z.literal('peer-joined'), peer }),
  z.object({
    type: z.literal('peer-left'),
    id: peerId,
    /** `lost`: the process that served the peer is gone; its media may continue. */
    reason: z.enum(['left', 'lost']),
  }),
  z.object({ type: z.literal('negotiation'), with: peerId, n: negotiationNumber }),
  z.object({ type: z.literal('signal'), from: peerId, n: negotiationNumber, data, ...position.shape }),
  z.object({
    type: z.literal('said'),
    from: peerId,
    name: z.string(),
    guest: z.boolean(),
    data,
    atMs: z.number(),
    ...position.shape,
  }),
  z.object({
    type: z.literal('gap'),
    of: z.enum(['room', 'signals']),
    reason: z.enum(['behind', 'trimmed', 'epoch']),
    ...position.shape,
    peers: z.array(peer),
  }),
  z.object({ type: z.literal('error'), code: z.enum(errorCodes) }),
  /** With a seat: a fresh token, and after which messages to resume. */
  z.object({
    type: z.literal('pong'),
    resume: z.string().optional(),
    ...position.partial().shape,
    signals: position.optional(),
  }),
  z.object({
    type: z.literal('bye'),
    reason: z.enum(['restart', 'taken', 'refused', 'idle', 'logged_out']),
  }),
])
export type ServerMessage = z.infer<typeof serverMessage>

/** Undefined for what is not one of ours. */
export function parseClientMessage(text: string): ClientMessage | undefined {
  return clientMessage.safeParse(parseJson(text)).data
}

function isModest(data: unknown): boolean {
  let values = 0
  function fits(value: unknown, depth: number): boolean {
    values += 1
    if (values > MOST_VALUES) return false
    if (typeof value !== 'object' || value === null) return true
    return depth > 0 && Object.values(value).every((inner) => fits(inner, depth - 1))
  }
  return fits(data, MOST_DEPTH)
}
