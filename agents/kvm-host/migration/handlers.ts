import type { Duplex } from 'node:stream'
import type { AgentHandlers, CallContext, CallInput, UpgradeRoute } from '#agent-rpc'
import { CloudError, sysErrors } from '#kernel'
import type { kvmHostCalls } from '../contract/index.ts'
import { connectSocket } from '../libvirt/console.ts'
import { type VmContext, vmQueue } from '../libvirt/deps.ts'
import { withDomain } from '../libvirt/domain.ts'
import { parseQemuOwner } from '../libvirt/domain-parse.ts'
import { loadLibvirt } from '../libvirt/ffi.ts'
import { destroyDomain, makeLogDirectory } from '../libvirt/power.ts'
import { type MigrationChannel, migrationPaths, TUNNEL_PREFIX, tunnelPath } from './channels.ts'
import { createIncomingMigrations, type IncomingMigrations } from './incoming.ts'
import { migrateDomain } from './migrate.ts'
import {
  makeSocketDirectory,
  type Outgoing,
  openOutgoing,
  type QemuOwner,
  removeSockets,
} from './outgoing.ts'
import { describeMigration } from './params.ts'

type AllHandlers = AgentHandlers<typeof kvmHostCalls>
type MigrateInput = CallInput<typeof kvmHostCalls.migrateVm>

export interface MigrationDeps {
  /** Of the libvirt area of the same agent. */
  readonly vm: VmContext
  /** Where the sockets of migrations lie, `/run/zstack/migration`; the same on each host. */
  readonly socketRoot: string
  /** Opens an upgrade route of another host's agent. */
  readonly openTunnel: (
    destination: { readonly address: string; readonly port: number },
    path: string,
  ) => Promise<Duplex>
}

export interface MigrationArea {
  readonly handlers: Pick<AllHandlers, 'prepareMigration' | 'migrateVm' | 'cleanMigration'>
  readonly upgradeRoutes: readonly UpgradeRoute[]
  dispose(): Promise<void>
}

/** What this agent has open for migrations. All of it ends with the agent, and the VM then stays where it is. */
interface State {
  readonly incoming: IncomingMigrations
  readonly outgoing: Map<string, Outgoing>
}

/** The commands that move a running VM between two hosts through the agents' own connections. */
export function createMigrationHandlers(deps: MigrationDeps): MigrationArea {
  const state: State = { incoming: createIncomingMigrations(), outgoing: new Map() }
  return {
    handlers: {
      prepareMigration: (input) => prepare(deps, state, input),
      migrateVm: (input, context) => migrate(deps, state, input, context),
      cleanMigration: (input) => clean(deps, state, input),
    },
    upgradeRoutes: [
      {
        prefix: TUNNEL_PREFIX,
        allow: ['agent'],
        open: ({ path, peer }) =>
          state.incoming.open(path, peer, (uuid, channel) => connectTo(deps, uuid, channel)),
      },
    ],
    dispose: async () => {
      for (const outgoing of state.outgoing.values()) await outgoing.close()
    },
  }
}

async function prepare(
  deps: MigrationDeps,
  state: State,
  { vmUuid, migrationUuid, sourceUuid }: CallInput<typeof kvmHostCalls.prepareMigration>,
): Promise<Record<never, never>> {
  const present = await withDomain(deps.vm.client, vmUuid, async (domain) => domain && !domain.moving)
  if (present)
    throw new CloudError(
      sysErrors.operationFailed,
      `VM ${vmUuid} runs on this host already; it cannot come here again`,
    )
  await makeLogDirectory(deps.vm)
  await makeSocketDirectory(migrationPaths(deps.socketRoot, migrationUuid), await qemuOwner(deps.vm))
  state.incoming.announce(migrationUuid, sourceUuid)
  return {}
}

function connectTo(deps: MigrationDeps, migrationUuid: string, channel: MigrationChannel): Promise<Duplex> {
  const paths = migrationPaths(deps.socketRoot, migrationUuid)
  return connectSocket(channel === 'libvirt' ? deps.vm.config.libvirtSocket : paths[channel])
}

function migrate(deps: MigrationDeps, state: State, input: MigrateInput, context: CallContext) {
  const { vm } = deps
  const { vmUuid } = input
  const run = () => vm.watch.command(vmUuid, () => migrateThroughTunnels(deps, state, input, context))
  return vm.queues.run(vmQueue(vmUuid), 'vm.migrate', run, context.signal)
}

async function migrateThroughTunnels(
  deps: MigrationDeps,
  state: State,
  input: MigrateInput,
  context: CallContext,
): Promise<{ downtimeMs?: number }> {
  const { migrationUuid, vmUuid, destination, withStorage } = input
  const paths = migrationPaths(deps.socketRoot, migrationUuid)
  const outgoing = await openOutgoing({
    paths,
    withStorage,
    owner: await qemuOwner(deps.vm),
    openTunnel: (channel) => deps.openTunnel(destination, tunnelPath(migrationUuid, channel)),
    logger: deps.vm.logger,
  })
  state.outgoing.set(migrationUuid, outgoing)
  try {
    const call = describeMigration(paths, { withStorage, autoConverge: input.autoConverge ?? false })
    const downtimeMs = await migrateDomain(deps.vm, vmUuid, call, context)
    return downtimeMs === undefined ? {} : { downtimeMs }
  } catch (cause) {
    throw explainFailure(input, context.signal, outgoing.tunnelError(), cause)
  } finally {
    state.outgoing.delete(migrationUuid)
    await outgoing.close()
  }
}

/** Why a migration failed, as seen from above: somebody gave up, a tunnel broke, or what libvirt said. */
function explainFailure(
  input: MigrateInput,
  signal: AbortSignal,
  tunnelError: unknown,
  cause: unknown,
): unknown {
  const { vmUuid, destination } = input
  if (signal.aborted)
    return new CloudError(
      sysErrors.cancelled,
      `the migration of VM ${vmUuid} was cancelled; the VM runs on here`,
      { cause },
    )
  if (tunnelError === undefined) return cause
  const where = `${destination.address}:${destination.port}`
  return new CloudError(
    sysErrors.ioError,
    `cannot migrate VM ${vmUuid}: the tunnel to the agent at ${where} failed; the VM runs on here`,
    { cause: tunnelError },
  )
}

async function clean(
  deps: MigrationDeps,
  state: State,
  input: { vmUuid: string; migrationUuid: string; destroyIncoming: boolean },
): Promise<Record<never, never>> {
  state.incoming.end(input.migrationUuid)
  await state.outgoing.get(input.migrationUuid)?.close()
  if (input.destroyIncoming) {
    const halfArrived = await withDomain(
      deps.vm.client,
      input.vmUuid,
      async (domain) => domain?.moving ?? false,
    )
    if (halfArrived) await destroyDomain(deps.vm, input.vmUuid)
  }
  await removeSockets(migrationPaths(deps.socketRoot, input.migrationUuid))
  return {}
}

/** The user QEMU runs as: it must reach the sockets, nobody else should. */
function qemuOwner(vm: VmContext): Promise<QemuOwner | undefined> {
  return vm.client.use(async (connection) =>
    parseQemuOwner(
      await connection.call('read what libvirt can do', loadLibvirt().api.connectGetCapabilities),
    ),
  )
}
