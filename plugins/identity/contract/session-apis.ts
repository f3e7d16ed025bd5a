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
    password: secret(text('SSH password; used once, never stored in clear.')),
    accountType: optional(text('Account type.')),
    captchaUuid: optional(text('Captcha uuid.')),
    verifyCode: optional(text('Verify code.')),
    clientInfo: optional(map('Client info.', text('Client info.'))),
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
    sessionUuid: optional(text('Session uuid.')),
    clientInfo: optional(map('Client info.', text('Client info.'))),
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
    sessionUuid: text('Session uuid.'),
  },
  output: {
    valid: optional(bool('Valid.')),
  },
})

export const renewSession = defineApi({
  name: 'RenewSession',
  message: 'org.zstack.header.identity.APIRenewSessionMsg',
  method: 'PUT',
  path: '/accounts/sessions/{sessionUuid}/renew',
  summary: 'Extend a session.',
  input: {
    sessionUuid: ref('SessionVO', 'Session uuid.'),
    duration: optional(long('Duration.', [60, 31536000])),
  },
  output: {
    inventory: inventory(session),
  },
})
