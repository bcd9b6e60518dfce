// How much of everything strangers may take, sized for a container of 512 MB (docs/architecture.md says why so much).

/** `perNetwork` is for an IPv6 /48: whoever has one has 65,536 clients of /64. */
export interface Budget {
  readonly inAll: number
  readonly perClient: number
  readonly perNetwork: number
}

const MB = 1024 * 1024

export const budgets = {
  /** Open TCP connections. Per client only where a connection's address is its client's. */
  connections: { inAll: 4_000, perClient: 256, perNetwork: 1_024 },
  /** Requests that are not answered yet, or whose answer is not taken yet. */
  requests: { inAll: 1_000, perClient: 200, perNetwork: 400 },
  /** Of these, those whose body is still arriving. */
  bodies: { inAll: 256, perClient: 32, perNetwork: 64 },
  /** What has arrived of bodies, until their requests are answered. */
  bodyBytes: { inAll: 24 * MB, perClient: 8 * MB, perNetwork: 12 * MB },
  /** WebSockets, from their handshake on. */
  sockets: { inAll: 2_000, perClient: 200, perNetwork: 400 },
  /** Handshakes of WebSockets within a second. */
  handshakes: { inAll: 1_000, perClient: 100, perNetwork: 200 },
  /** Probes within a second that wait for nobody; more are answered in their turn. */
  probes: { inAll: 500, perClient: 20, perNetwork: 40 },
  /** Refusals within a second that are answered. */
  refusals: { inAll: 500, perClient: 50, perNetwork: 100 },
  /** Refused connections that have a moment yet to take their answer. */
  farewells: { inAll: 256, perClient: 32, perNetwork: 64 },
} as const satisfies Record<string, Budget>
