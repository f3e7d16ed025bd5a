import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { defineHook } from './extension.ts'

/** A path a plugin serves outside the API. `path` is exact, or a prefix when it ends in `/*`; HEAD comes here as well. */
export interface WebRoute {
  readonly method: 'GET'
  readonly path: string
  handler(request: IncomingMessage, response: ServerResponse): void | Promise<void>
}

/** A path whose connections leave HTTP. The handler owns the socket from then on, and must close it when it refuses. */
export interface UpgradeRoute {
  readonly path: string
  handler(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Why the node cannot serve now, when it cannot: told by `/readyz`. */
export interface ReadinessCheck {
  readonly name: string
  /** Undefined when all is well. One that does not answer within 2 s counts as a reason. */
  check(): Promise<string | undefined>
}

export const readinessCheck = defineHook<ReadinessCheck>('readiness check')

/** Mounted by the server on every port, for those who watch the node. */
export const monitorRoute = defineHook<WebRoute>('monitor route')

/** Mounted by the server on every port browsers use. */
export const webRoute = defineHook<WebRoute>('web route')
export const upgradeRoute = defineHook<UpgradeRoute>('upgrade route')
