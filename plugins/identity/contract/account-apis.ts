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
    password: optional(secret(text('Password, as SHA-512 in hex.', { max: 255, noTrim: true }))),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    oldPassword: optional(
      secret(text('The password so far, as SHA-512 in hex; checked when given.', { max: 255, noTrim: true })),
    ),
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
