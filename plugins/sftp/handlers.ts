import { type Database, findOne, get, not, update } from '#db'
import { CloudError, newUuid, type SecretBox, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import {
  addBackupStorage,
  connectBackupStorage,
  describeBackupStorage,
} from '#plugins/backup-storage/contract/messages.ts'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { backupStorageState, backupStorageStatus } from '#plugins/backup-storage/contract/states.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import type { SftpConnector } from './connector.ts'
import { addSftpBackupStorage, reconnectSftpBackupStorage, updateSftpBackupStorage } from './contract/apis.ts'
import { sftpErrors } from './contract/errors.ts'
import { sftpBackupStorage } from './contract/resources.ts'

export function handleSftp(ctx: PluginContext, secrets: SecretBox, connector: SftpConnector): void {
  const { db, bus } = ctx

  ctx.handle(
    addSftpBackupStorage,
    async (input) => {
      const { hostname, username, password, sshPort, url, name, description } = input
      refuseImport(input.importImages)
      refuseParentPaths(url)
      await refuseTakenServer(db, hostname)
      const uuid = input.resourceUuid ?? newUuid()
      const now = Date.now()
      const storage = {
        ...{
          uuid,
          name,
          description,
          url,
          totalCapacity: 0,
          availableCapacity: 0,
          type: 'SftpBackupStorage',
        },
        ...{ state: backupStorageState.enabled, status: backupStorageStatus.connecting },
        ...{ createDate: now, lastOpDate: now },
      }
      const row = { uuid, hostname, username, sshPort, sealedPassword: secrets.seal(password) }
      const extension = { inventory: sftpBackupStorage.inventory, row }
      await createWithTags(ctx, { type: 'BackupStorageVO', uuid }, input, () =>
        bus.call(addBackupStorage, { storage, extension }),
      )
      return { inventory: await ctx.query.view(backupStorage, uuid) }
    },
    { key: ({ hostname }) => `sftp:${hostname}` },
  )

  ctx.handle(reconnectSftpBackupStorage, async ({ uuid }) => {
    try {
      await bus.call(connectBackupStorage, { backupStorageUuid: uuid })
    } catch (cause) {
      if (!(cause instanceof CloudError)) throw cause
      throw new CloudError(sftpErrors.reconnect, cause.details, { cause: cause.cause ?? cause })
    }
    return { inventory: await ctx.query.view(sftpBackupStorage, uuid) }
  })

  ctx.handle(
    updateSftpBackupStorage,
    async ({ uuid, name, description, ...access }) => {
      await updateAccess(db, { uuid, ...access }, { secrets, connector })
      await bus.call(describeBackupStorage, { backupStorageUuid: uuid, name, description })
      return { inventory: await ctx.query.view(backupStorage, uuid) }
    },
    { key: ({ uuid }) => `backup-storage:${uuid}` },
  )
}

interface Access {
  readonly uuid: string
  readonly hostname?: string | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly sshPort?: number | undefined
}

/** Changes how the server is reached, from the next reconnect on; one that moved is connected again by the ping. */
async function updateAccess(
  db: Database,
  { uuid, hostname, username, password, sshPort }: Access,
  { secrets, connector }: { secrets: SecretBox; connector: SftpConnector },
): Promise<void> {
  const row = await get(db, sftpBackupStorage, uuid)
  const isMoved = hostname !== undefined && hostname !== row.hostname
  if (isMoved) {
    await refuseTakenServer(db, hostname, uuid)
    await connector.forget(uuid)
  }
  const patch = {
    ...(isMoved ? { hostname, hostKey: undefined } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { sealedPassword: secrets.seal(password) }),
    ...(sshPort === undefined ? {} : { sshPort }),
  }
  if (Object.keys(patch).length > 0) await db.write((tx) => update(tx, sftpBackupStorage, { uuid }, patch))
}

/** One server runs one agent, and the agent serves one backup storage. */
async function refuseTakenServer(db: Database, hostname: string, exceptUuid = ''): Promise<void> {
  const other = await findOne(db, sftpBackupStorage, { hostname, uuid: not(exceptUuid) })
  if (other === undefined) return
  const details = `the server ${hostname} is the backup storage[uuid:${other.uuid}] already; one server can be only one`
  throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'hostname' } })
}

function refuseParentPaths(url: string): void {
  if (!url.split('/').includes('..')) return
  const details = `field[url] of AddSftpBackupStorage must not contain '..', got '${url}'`
  throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'url' } })
}

function refuseImport(importImages: boolean | undefined): void {
  if (importImages !== true) return
  const details =
    'images that lie on a server already cannot be taken over: leave importImages out, and add each by AddImage'
  throw new CloudError(sysErrors.noCapability, details, { opaque: { field: 'importImages' } })
}
