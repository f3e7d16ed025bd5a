import { bool, defineApi, inventory, long, map, optional, ref, secret, text } from '#contract'
import { session } from './resources.ts'

export const logInByAccount = defineApi({
  name: 'LogInByAccount',
  message: 'org.zstack.header.identity.APILogInByAccountMsg',
  reply: 'org.zstack.header.identity.APILogInReply',
  kind: 'sync',
  method: 'PUT',
  path: '/accounts/login',
  needSession: false,
  summary: 'Log in and get a session.',
  input: {
    accountName: text('Name of the account.'),
    password: secret(text('Password, as SHA-512 in hex.', { noTrim: true })),
    accountType: optional(text('Kind of account; there is one kind.')),
    captchaUuid: optional(text('Accepted for newer clients; no captcha is asked for.')),
    verifyCode: optional(text('Accepted for newer clients; no captcha is asked for.')),
    clientInfo: optional(map('What the client says about itself; not kept.', text('Client info.'))),
  },
  output: {
    inventory: inventory(session),
  },
})

export const logOut = defineApi({
  name: 'LogOut',
  message: 'org.zstack.header.identity.APILogOutMsg',
  kind: 'sync',
  method: 'DELETE',
  path: '/accounts/sessions/{sessionUuid}',
  needSession: false,
  summary: 'End a session.',
  input: {
    sessionUuid: optional(text('The session.')),
    clientInfo: optional(map('What the client says about itself; not kept.', text('Client info.'))),
  },
})

export const validateSession = defineApi({
  name: 'ValidateSession',
  message: 'org.zstack.header.identity.APIValidateSessionMsg',
  kind: 'sync',
  method: 'GET',
  path: '/accounts/sessions/{sessionUuid}/valid',
  needSession: false,
  summary: 'Tell whether a session is valid.',
  input: {
    sessionUuid: text('The session.'),
  },
  output: {
    valid: optional(bool('Whether the session may be used.')),
  },
})

export const renewSession = defineApi({
  name: 'RenewSession',
  message: 'org.zstack.header.identity.APIRenewSessionMsg',
  method: 'PUT',
  path: '/accounts/sessions/{sessionUuid}/renew',
  summary: 'Extend a session.',
  input: {
    sessionUuid: ref('SessionVO', 'The session.'),
    duration: optional(long('Seconds from now until it shall end.', [60, 31536000])),
  },
  output: {
    inventory: inventory(session),
  },
})
