// Where browsers learn their own address and send their media through where they must: ICE_SERVERS, in the form of
// RTCConfiguration.iceServers. https://www.w3.org/TR/webrtc/#rtciceserver-dictionary
import { parseJson } from '../../lib/codec.ts'

export interface IceServer {
  readonly urls: string | string[]
  readonly username?: string
  readonly credential?: string
}

const MOST_SERVERS = 10
const FIELDS = ['urls', 'username', 'credential']
const URL_FORM = /^(stun|turn)s?:[^\s]{1,300}$/
const NO_ARRAY = 'must be a JSON array, as RTCConfiguration.iceServers'

/** The servers; or what is wrong, in a sentence that repeats nothing of them. */
export function parseIceServers(text: string): readonly IceServer[] | string {
  const servers = parseJson(text)
  if (!Array.isArray(servers)) return NO_ARRAY
  if (servers.length > MOST_SERVERS) return `may have at most ${MOST_SERVERS} servers`
  return servers.map(problemOf).find((problem) => problem !== undefined) ?? servers
}

function problemOf(server: unknown): string | undefined {
  const isObject = typeof server === 'object' && server !== null
  if (!isObject || Object.keys(server).some((name) => !FIELDS.includes(name))) {
    return 'must have objects with urls and, for turn:, username and credential'
  }
  const { urls, username, credential } = server as Record<string, unknown>
  const all: unknown[] = Array.isArray(urls) ? urls : [urls]
  if (all.length === 0 || !all.every((url) => typeof url === 'string' && URL_FORM.test(url))) {
    return 'must have urls that begin with stun:, stuns:, turn: or turns:'
  }
  const needsLogin = all.some((url) => String(url).startsWith('turn'))
  const isText = (value: unknown) => value === undefined || typeof value === 'string'
  if (!isText(username) || !isText(credential) || (needsLogin && !(username && credential))) {
    return 'must have a username and a credential, as text, for each turn: server'
  }
  return undefined
}
