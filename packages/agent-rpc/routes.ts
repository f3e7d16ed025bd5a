import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Who is at the other end, proven by certificate. */
export interface Peer {
  /** Organisational unit: `management` may everything, `agent` only what routes allow. */
  readonly kind: 'management' | 'agent'
  /** Common name: the uuid of the agent. */
  readonly name: string
}

interface Route {
  /** Beginning of the path, `/images/`. */
  readonly prefix: string
  /** Who may use it. */
  readonly allow: readonly Peer['kind'][]
}

export interface RouteRequest {
  /** What follows the prefix, decoded. Anything a peer likes to write: confine it. */
  readonly path: string
  readonly peer: Peer
  /** Aborted when the peer has gone. */
  readonly signal: AbortSignal
}

/** Serves `GET <prefix><path>`. What it throws becomes the answer when nothing was sent yet, else the connection is cut. */
export interface PeerRoute extends Route {
  serve(request: RouteRequest, response: ServerResponse, raw: IncomingMessage): Promise<void> | void
}

/** Serves HTTP upgrades of `<prefix><path>`: the connection is joined to the stream `open` gives. Both end together. */
export interface UpgradeRoute extends Route {
  open(request: RouteRequest): Promise<Duplex>
}

/** The route for a path, with the decoded rest. */
export function findRoute<R extends Route>(
  routes: readonly R[],
  path: string,
): { route: R; rest: string } | undefined {
  const route = routes.find((candidate) => path.startsWith(candidate.prefix))
  return route && { route, rest: decodeURIComponent(path.slice(route.prefix.length)) }
}
