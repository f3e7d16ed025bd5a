import type { Logger } from '#kernel'
import { LibvirtConnection } from './connection.ts'
import { uuidOf } from './domain.ts'
import { loadLibvirt, type Pointer, toCallback } from './ffi.ts'
import { isOurName } from './identity.ts'

/** What libvirt reports about our domains. Called on the main thread, while libvirt's thread waits: be quick. */
export interface DomainListener {
  lifecycle(vmUuid: string, event: number, detail: number): void
  deviceRemoved(vmUuid: string, alias: string): void
  deviceRemovalFailed(vmUuid: string, alias: string): void
  jobCompleted(vmUuid: string, stats: { readonly params: Pointer; readonly count: number }): void
  /** The connection is gone and no event will come any more. */
  closed(): void
}

const LIFECYCLE = 0
const DEVICE_REMOVED = 15
const JOB_COMPLETED = 21
const DEVICE_REMOVAL_FAILED = 22

/** A connection on which libvirt reports domain events. */
export interface EventConnection {
  readonly connection: LibvirtConnection
  close(): Promise<void>
}

/** Opens a connection and registers for events on it. */
export async function openEventConnection(
  uri: string,
  listener: DomainListener,
  logger: Logger,
): Promise<EventConnection> {
  const { api, callbacks } = loadLibvirt()
  const connection = await LibvirtConnection.open(uri, logger)
  // These are never released: an event that libvirt's thread has under way may still arrive after the end. They are a few
  // bytes for each restart of libvirtd, while a call into freed memory would end the agent.
  const events = describeEvents(listener, logger)
  const registered: number[] = []
  try {
    const onClose = toCallback(() => listener.closed(), callbacks.close)
    await connection.call(
      'watch for the end of libvirtd',
      api.connectRegisterCloseCallback,
      onClose,
      null,
      null,
    )
    for (const { id, fn, prototype } of events) {
      const callback = toCallback(fn, prototype)
      registered.push(
        await connection.call(
          'register for domain events',
          api.eventRegisterAny,
          null,
          id,
          callback,
          null,
          null,
        ),
      )
    }
    return { connection, close: () => closeEvents(connection, registered, onClose) }
  } catch (error) {
    await connection.close()
    throw error
  }
}

async function closeEvents(
  connection: LibvirtConnection,
  registered: readonly number[],
  onClose: Pointer,
): Promise<void> {
  const { api } = loadLibvirt()
  if (connection.isAlive()) {
    for (const id of registered)
      await connection.call('deregister from domain events', api.eventDeregisterAny, id)
  }
  // The close callback must not outlive us; that it is gone already (the connection broke) is fine.
  api.connectUnregisterCloseCallback(connection.pointer, onClose)
  await connection.close()
}

function describeEvents(listener: DomainListener, logger: Logger) {
  const { callbacks } = loadLibvirt()
  const about = (domain: Pointer, then: (vmUuid: string) => void) => {
    try {
      const uuid = uuidOf(domain)
      if (isOurName(loadLibvirt().api.domainGetName(domain), uuid)) then(uuid.replaceAll('-', ''))
    } catch (error) {
      // An exception must not travel into libvirt.
      logger.error({ err: error }, 'handling an event of libvirt failed')
    }
  }
  return [
    {
      id: LIFECYCLE,
      prototype: callbacks.lifecycle,
      fn: (_conn: Pointer, domain: Pointer, event: number, detail: number) => {
        about(domain, (vmUuid) => listener.lifecycle(vmUuid, event, detail))
        return 0
      },
    },
    {
      id: DEVICE_REMOVED,
      prototype: callbacks.device,
      fn: (_conn: Pointer, domain: Pointer, alias: string) =>
        about(domain, (vmUuid) => listener.deviceRemoved(vmUuid, alias)),
    },
    {
      id: DEVICE_REMOVAL_FAILED,
      prototype: callbacks.device,
      fn: (_conn: Pointer, domain: Pointer, alias: string) =>
        about(domain, (vmUuid) => listener.deviceRemovalFailed(vmUuid, alias)),
    },
    {
      id: JOB_COMPLETED,
      prototype: callbacks.job,
      fn: (_conn: Pointer, domain: Pointer, params: Pointer, count: number) =>
        about(domain, (vmUuid) => listener.jobCompleted(vmUuid, { params, count })),
    },
  ]
}
