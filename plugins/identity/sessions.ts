import { count, type Database, findOne, insert, lessThan, remove, update } from '#db'
import { CloudError, newUuid, steadyNow } from '#kernel'
import type { Config } from '#plugin-host'
import { maxSessions, sessionTimeout } from './contract/configs.ts'
import { identityErrors } from './contract/errors.ts'
import { type Session, session } from './contract/resources.ts'

export interface Sessions {
  open(accountUuid: string): Promise<Session>
  /** The live session, its life extended; throws ID.1001 otherwise. */
  use(uuid: string | undefined): Promise<Session>
  find(uuid: string): Promise<Session | undefined>
  close(uuid: string): Promise<void>
  extend(uuid: string, seconds: number): Promise<void>
  removeExpired(): Promise<number>
}

export function createSessions(db: Database, config: Config): Sessions {
  const lifeMs = () => config.get(sessionTimeout) * 1000
  const find = async (uuid: string) => {
    const row = await findOne(db, session, { uuid })
    return row === undefined || row.expiredDate <= steadyNow() ? undefined : row
  }
  const extendTo = async (uuid: string, expiredDate: number) => {
    await db.write((tx) => update(tx, session, { uuid }, { expiredDate }))
  }
  return {
    find,
    open: async (accountUuid) => {
      const now = steadyNow()
      const limit = config.get(maxSessions)
      if ((await count(db, session, { accountUuid })) >= limit) {
        await db.write((tx) => remove(tx, session, { accountUuid, expiredDate: lessThan(now) }))
        if ((await count(db, session, { accountUuid })) >= limit) {
          const details = `the account has ${limit} sessions (identity.session.maxConcurrent); log out of some, or wait until they expire`
          throw new CloudError(identityErrors.tooManySessions, details)
        }
      }
      const row = {
        uuid: newUuid(),
        accountUuid,
        userUuid: accountUuid,
        createDate: now,
        expiredDate: now + lifeMs(),
      }
      await db.write((tx) => insert(tx, session, row))
      return row
    },
    use: async (uuid) => {
      const row = uuid === undefined ? undefined : await find(uuid)
      if (row === undefined) throw new CloudError(identityErrors.invalidSession, 'Session expired')
      // Each use extends the session; written at most every twentieth of its life.
      const fresh = steadyNow() + lifeMs()
      if (fresh - row.expiredDate > lifeMs() / 20) await extendTo(row.uuid, fresh)
      return row
    },
    close: async (uuid) => {
      await db.write((tx) => remove(tx, session, { uuid }))
    },
    extend: (uuid, seconds) => extendTo(uuid, steadyNow() + seconds * 1000),
    removeExpired: () => db.write((tx) => remove(tx, session, { expiredDate: lessThan(steadyNow()) })),
  }
}
