import {
  anything,
  bool,
  choice,
  defineApi,
  defineQuery,
  defineResource,
  int,
  inventory,
  list,
  long,
  map,
  optional,
  ref,
  secret,
  struct,
  text,
  timestamp,
  withDefault,
} from '#contract'

/** A small product of its own, with one of everything the doors have to carry. */
export const part = defineResource({
  name: 'Part',
  className: 'org.zstack.thing.PartInventory',
  fields: {
    uuid: text('Uuid.'),
    thingUuid: text('Whose part it is.'),
    name: text('Name.'),
    createDate: timestamp('When it was made.'),
  },
})

export const thing = defineResource({
  name: 'Thing',
  className: 'org.zstack.thing.ThingInventory',
  fields: {
    uuid: text('Uuid.'),
    name: text('Name.'),
    description: optional(text('Description.')),
    type: text('Type.'),
    size: long('Size in bytes.'),
    password: optional(secret(text('Password.'))),
    internalNote: optional(text('For the server only.')),
    createDate: timestamp('When it was made.'),
  },
  hidden: ['internalNote'],
  relations: { parts: { to: 'PartInventory', column: 'uuid', otherColumn: 'thingUuid', embedded: true } },
})

/** A Thing of type `Big` has a weight. */
export const bigThing = defineResource({
  name: 'BigThing',
  className: 'org.zstack.thing.BigThingInventory',
  fields: { uuid: text('Uuid.'), weight: int('Weight in grams.') },
  parent: { resource: thing, typeColumn: 'type', type: 'Big' },
})

export const createThing = defineApi({
  name: 'CreateThing',
  message: 'org.zstack.thing.APICreateThingMsg',
  path: '/things',
  summary: 'Create a thing.',
  example: { name: 'web', size: 1024 },
  input: {
    name: text('Name.', { max: 255, notEmpty: true }),
    description: optional(text('Description.')),
    size: withDefault(long('Size in bytes.', [0, 1_000_000]), 0),
    type: withDefault(choice('Type.', ['Small', 'Big']), 'Small'),
    partNames: optional(list('Names of its parts.', text('Name.'))),
    labels: optional(map('Labels.', text('Value.'))),
    password: optional(secret(text('Password.'))),
  },
  output: { inventory: inventory(thing) },
})

export const updateThing = defineApi({
  name: 'UpdateThing',
  message: 'org.zstack.thing.APIUpdateThingMsg',
  method: 'PUT',
  path: '/things/{uuid}/actions',
  summary: 'Change a thing.',
  input: { uuid: ref('ThingVO', 'Uuid.'), name: optional(text('Name.')) },
  output: { inventory: inventory(thing) },
})

export const breakThing = defineApi({
  name: 'BreakThing',
  message: 'org.zstack.thing.APIBreakThingMsg',
  method: 'PUT',
  path: '/things/{uuid}/actions',
  summary: 'Fails always.',
  input: { uuid: ref('ThingVO', 'Uuid.') },
})

export const deleteThing = defineApi({
  name: 'DeleteThing',
  message: 'org.zstack.thing.APIDeleteThingMsg',
  method: 'DELETE',
  path: '/things/{uuid}',
  summary: 'Delete a thing.',
  input: {
    uuid: ref('ThingVO', 'Uuid.', { successIfMissing: true }),
    deleteMode: optional(choice('Mode.', ['Permissive', 'Enforcing'])),
  },
})

/** Says back what it was given, through a query string. */
export const echoThing = defineApi({
  name: 'EchoThing',
  message: 'org.zstack.thing.APIEchoThingMsg',
  kind: 'sync',
  method: 'GET',
  path: '/things/echo/{word}',
  summary: 'Say it back.',
  input: {
    word: text('A word.'),
    names: optional(list('Names.', text('Name.'))),
    numbers: optional(map('Numbers.', int('Number.'))),
    groups: optional(map('Groups.', list('Members.', text('Member.')))),
    limit: optional(int('A number.')),
    loud: optional(bool('Loud.')),
    at: optional(timestamp('A time.')),
  },
  output: {
    echo: anything('What was given.'),
    at: optional(timestamp('A time.')),
    detail: optional(struct('org.zstack.thing.Detail', 'Detail.', { since: timestamp('A time.') })),
  },
})

export const validateThing = defineApi({
  name: 'ValidateThing',
  message: 'org.zstack.thing.APIValidateThingMsg',
  kind: 'sync',
  method: 'GET',
  path: '/things/{uuid}/valid',
  needSession: false,
  summary: 'Tell whether it is valid.',
  input: { uuid: text('Uuid.') },
  output: { valid: bool('Whether it is valid.') },
  legacyNames: { valid: 'validThing' },
})

/** The only API at its path, with a parameter key that is empty. */
export const attachThing = defineApi({
  name: 'AttachThing',
  message: 'org.zstack.thing.APIAttachThingMsg',
  kind: 'sync',
  path: '/things/{uuid}/attachments/{toUuid}',
  parameterName: '',
  summary: 'Attach a thing to another.',
  input: { uuid: text('Uuid.'), toUuid: text('Uuid.'), slot: optional(int('Slot.')) },
  output: { echo: anything('What was given.') },
})

/** Ends when the test lets it. */
export const waitThing = defineApi({
  name: 'WaitThing',
  message: 'org.zstack.thing.APIWaitThingMsg',
  path: '/things/waits',
  summary: 'Wait.',
  input: {},
})

export const crashThing = defineApi({
  name: 'CrashThing',
  message: 'org.zstack.thing.APICrashThingMsg',
  kind: 'sync',
  method: 'PUT',
  path: '/things/actions',
  needSession: false,
  summary: 'Hits a bug.',
  input: {},
})

export const logInByAccount = defineApi({
  name: 'LogInByAccount',
  message: 'org.zstack.header.identity.APILogInByAccountMsg',
  kind: 'sync',
  method: 'PUT',
  path: '/accounts/login',
  needSession: false,
  summary: 'Log in.',
  input: { accountName: text('Account.'), password: secret(text('SHA-512 of the password.')) },
  output: {
    inventory: struct('SessionInventory', 'The session.', {
      uuid: text('Uuid.'),
      accountUuid: text('Account.'),
      userUuid: text('User.'),
      expiredDate: timestamp('End.'),
      createDate: timestamp('Begin.'),
    }),
  },
})

export const isReadyToGo = defineApi({
  name: 'IsReadyToGo',
  message: 'org.zstack.header.apimediator.APIIsReadyToGoMsg',
  kind: 'sync',
  method: 'GET',
  path: '/management-nodes/ready',
  needSession: false,
  summary: 'Tell whether the node is ready.',
  input: {},
})

export const queryThing = defineQuery({
  name: 'QueryThing',
  message: 'org.zstack.thing.APIQueryThingMsg',
  path: '/things',
  resource: thing,
})
