import { bool, defineResource, optional, type Row, secret, text, timestamp } from '#contract'

export const account = defineResource({
  name: 'Account',
  className: 'org.zstack.header.identity.AccountInventory',
  hidden: ['password'],
  fields: {
    uuid: text('Uuid of the Account.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    type: text('SystemAdmin or Normal.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    password: secret(text('Password, as SHA-512 in hex.')),
  },
  relations: {
    user: { to: 'UserInventory', column: 'uuid', otherColumn: 'accountUuid' },
    group: { to: 'UserGroupInventory', column: 'uuid', otherColumn: 'accountUuid' },
    policy: { to: 'PolicyInventory', column: 'uuid', otherColumn: 'accountUuid' },
    quota: { to: 'QuotaInventory', column: 'uuid', otherColumn: 'identityUuid' },
  },
})
export type Account = Row<typeof account>

export const session = defineResource({
  name: 'Session',
  className: 'org.zstack.header.identity.SessionInventory',
  hidden: ['noSessionEvaluation'],
  fields: {
    uuid: text('Uuid of the Session.', { max: 32 }),
    accountUuid: text('The account.', { max: 32 }),
    userUuid: text('The user.', { max: 32 }),
    userType: optional(text('Kind of user.')),
    expiredDate: timestamp('When it ends unless it is used.'),
    createDate: timestamp('When it was created.'),
    noSessionEvaluation: optional(bool('Internal mark of the original; never set.')),
  },
})
export type Session = Row<typeof session>
