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

/** Mounted by the server on every port browsers use. */
export const webRoute = defineHook<WebRoute>('web route')
export const upgradeRoute = defineHook<UpgradeRoute>('upgrade route')
