import { findOne, get, insert, update } from '#db'
import { CloudError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { updateAccount } from './contract/account-apis.ts'
import { identityErrors } from './contract/errors.ts'
import { account, session } from './contract/resources.ts'
import { logInByAccount, logOut, renewSession, validateSession } from './contract/session-apis.ts'
import { hashPassword, type PasswordCost, sentForm, verifyPassword } from './password.ts'
import type { Sessions } from './sessions.ts'
import { LoginThrottle } from './throttle.ts'

/** The administrator of every ZStack cloud; clients know this uuid. */
export const adminUuid = '36c27e8ff05c4780bf6d2fa65700f22e'
export const defaultPassword = 'password'

export function handleSessions(ctx: PluginContext, sessions: Sessions, cost: PasswordCost | undefined): void {
  const throttle = new LoginThrottle()

  const logIn = async (accountName: string, password: string) => {
    const wait = throttle.waitSeconds(accountName)
    if (wait > 0)
      throw new CloudError(identityErrors.authentication, `too many failed log-ins; try again in ${wait} s`)
    const found = await findOne(ctx.db, account, { name: accountName })
    // An unknown name costs the same time as a wrong password.
    const ok = await verifyPassword(found?.password ?? (await hashPassword('', cost)), password)
    if (found === undefined || !ok) {
      throttle.failed(accountName)
      throw new CloudError(identityErrors.authentication, 'wrong account name or password')
    }
    throttle.succeeded(accountName)
    return { inventory: await sessions.open(found.uuid) }
  }
  // One after the other for each name: guesses at the same time would all be made before the first is counted.
  ctx.handle(logInByAccount, ({ accountName, password }) => logIn(accountName, password), {
    key: ({ accountName }) => `login:${accountName}`,
  })

  ctx.handle(logOut, async ({ sessionUuid }, call) => {
    const uuid = sessionUuid ?? call.sessionUuid
    if (uuid !== undefined) await sessions.close(uuid)
    return {}
  })

  ctx.handle(validateSession, async ({ sessionUuid }) => ({
    valid: (await sessions.find(sessionUuid)) !== undefined,
  }))

  ctx.handle(renewSession, async ({ sessionUuid, duration }) => {
    await sessions.use(sessionUuid)
    if (duration !== undefined) await sessions.extend(sessionUuid, duration)
    return { inventory: await ctx.query.view(session, sessionUuid) }
  })
}

export function handleAccounts(ctx: PluginContext, cost: PasswordCost | undefined): void {
  ctx.handle(updateAccount, async (input) => {
    const row = await get(ctx.db, account, input.uuid)
    if (input.oldPassword !== undefined && !(await verifyPassword(row.password, input.oldPassword))) {
      throw new CloudError(identityErrors.authentication, 'the old password is wrong')
    }
    const patch = {
      ...(input.name === undefined ? {} : { name: input.name }),
      ...(input.description === undefined ? {} : { description: input.description }),
      ...(input.password === undefined ? {} : { password: await hashPassword(input.password, cost) }),
    }
    await ctx.db.write((tx) =>
      update(tx, account, { uuid: input.uuid }, { ...patch, lastOpDate: Date.now() }),
    )
    return { inventory: await ctx.query.view(account, input.uuid) }
  })
}

/** Makes the administrator on the first start, with the password every client starts with. */
export async function ensureAdmin(ctx: PluginContext, cost: PasswordCost | undefined): Promise<void> {
  const found = await findOne(ctx.db, account, { uuid: adminUuid })
  if (found === undefined) {
    const now = Date.now()
    const password = await hashPassword(sentForm(defaultPassword), cost)
    const row = {
      uuid: adminUuid,
      name: 'admin',
      type: 'SystemAdmin',
      password,
      createDate: now,
      lastOpDate: now,
    }
    await ctx.db.write((tx) => insert(tx, account, row))
  }
  const stored = (await get(ctx.db, account, adminUuid)).password
  if (await verifyPassword(stored, sentForm(defaultPassword))) {
    ctx.log.warn(
      {},
      'admin still has the default password; change it: zstack-cli UpdateAccount uuid=... password=...',
    )
  }
}
