import { defineApi, defineQuery, inventory, optional, ref, secret, text } from '#contract'
import { account } from './resources.ts'

export const updateAccount = defineApi({
  name: 'UpdateAccount',
  message: 'org.zstack.header.identity.APIUpdateAccountMsg',
  method: 'PUT',
  path: '/accounts/{uuid}',
  summary: 'Change name, description or password of an account.',
  input: {
    uuid: ref('AccountVO', 'Uuid of the identity.'),
    password: optional(secret(text('SSH password; used once, never stored in clear.', { max: 255 }))),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    oldPassword: optional(secret(text('Old password.', { max: 255 }))),
  },
  output: {
    inventory: inventory(account),
  },
})

export const queryAccount = defineQuery({
  name: 'QueryAccount',
  message: 'org.zstack.header.identity.APIQueryAccountMsg',
  path: '/accounts',
  resource: account,
})
