import { createHash } from 'node:crypto'
import type { Resource } from '#contract'
import type { Disposable } from '#kernel'
import type { Dispatcher, Jobs } from '#plugin-host'
import { createAdmission } from './admission.ts'
import { describeContract } from './contract-json.ts'
import { createLegacyDoor } from './legacy.ts'
import { createPresenter } from './present.ts'
import { readiness } from './readiness.ts'
import { type DoorRequest, HttpFailure, type HttpReply, jsonReply, textReply } from './reply.ts'
import { createRestDoor } from './rest.ts'
import { createRouter } from './router.ts'
import type { HttpServerOptions } from './server.ts'
import { createWebHooks } from './web-hook.ts'

export interface Door {
  readonly prefix: string
  handle(request: DoorRequest): Promise<HttpReply>
}

/** Everything derived from the contract, found by path. */
export interface Doors extends Disposable {
  find(path: string): Door | undefined
}

type DoorOptions = HttpServerOptions & {
  readonly dispatcher: Dispatcher
  readonly jobs: Jobs
  readonly port: () => number
}

const DEFAULT_MAX_IN_FLIGHT = 20_000

export function createDoors(options: DoorOptions): Doors {
  const { dispatcher, jobs, log } = options
  const resources = allResources(options)
  const webHooks = createWebHooks({ log, wait: options.webHookWait })
  const shared = {
    dispatcher,
    jobs,
    log,
    webHooks,
    presenter: createPresenter(resources),
    router: createRouter(dispatcher.apis),
    admission: createAdmission(options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT),
    jobLocation: (jobUuid: string) =>
      `http://${hostOf(options.advertisedAddress)}:${options.port()}/zstack/v1/api-jobs/${encodeURIComponent(jobUuid)}`,
  }
  const doors: Door[] = [
    { prefix: '/readyz', handle: () => readiness(dispatcher, options.readinessChecks ?? []) },
    { prefix: '/zstack/v1/contract', handle: contractDoor(options, resources) },
    { prefix: '/zstack/v1', handle: createRestDoor(shared).handle },
    { prefix: '/zstack/api', handle: createLegacyDoor(shared).handle },
  ]
  const isBelow = (path: string, { prefix }: Door) => path === prefix || path.startsWith(`${prefix}/`)
  return { find: (path) => doors.find((door) => isBelow(path, door)), dispose: webHooks.dispose }
}

function hostOf(address = '127.0.0.1'): string {
  return address.includes(':') ? `[${address}]` : address
}

/** Those given, and those the Query APIs name. */
function allResources(options: DoorOptions): Resource[] {
  const queried = options.dispatcher.apis.flatMap((api) => (api.resource === undefined ? [] : [api.resource]))
  return [...new Set([...queried, ...(options.resources ?? [])])]
}

/** What the command line tool derives its help and completion from. */
function contractDoor(options: DoorOptions, resources: readonly Resource[]): Door['handle'] {
  const { version = 'unknown', configs = [] } = options
  const description = { version, ...describeContract(options.dispatcher.apis, { resources, configs }) }
  const reply = jsonReply(200, description)
  const etag = `"${createHash('sha256').update(reply.body).digest('hex').slice(0, 32)}"`
  const headers = { ETag: etag, 'Cache-Control': 'no-cache' }
  return async (request) => {
    if (request.path !== '') throw new HttpFailure(404, `no api mapping to /contract${request.path}`)
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new HttpFailure(405, `/contract does not support ${request.method}; supported: GET`, {
        Allow: 'GET',
      })
    const known = request.header('if-none-match') === etag
    return known ? { ...textReply(304, ''), headers } : { ...reply, headers }
  }
}
