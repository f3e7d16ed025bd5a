import { bool, choice, defineApi, defineQuery, inventory, optional, ref, text, withDefault } from '#contract'
import { zone } from './resources.ts'

export const createZone = defineApi({
  name: 'CreateZone',
  message: 'org.zstack.header.zone.APICreateZoneMsg',
  path: '/zones',
  summary: 'Create a zone, a data centre.',
  input: {
    name: text('Name people see.', { max: 255, pattern: /^(?! )[\u4e00-\u9fa5a-zA-Z0-9\-_.():+" ]*(?<! )$/ }),
    description: optional(text('Free text.')),
    isDefault: optional(bool('Whether it is taken where no zone is named.')),
  },
  output: {
    inventory: inventory(zone),
  },
})

export const updateZone = defineApi({
  name: 'UpdateZone',
  message: 'org.zstack.header.zone.APIUpdateZoneMsg',
  method: 'PUT',
  path: '/zones/{uuid}/actions',
  summary: 'Change name or description of a zone.',
  input: {
    name: optional(
      text('Name people see.', { max: 255, pattern: /^(?! )[\u4e00-\u9fa5a-zA-Z0-9\-_.():+" ]*(?<! )$/ }),
    ),
    description: optional(text('Free text.')),
    uuid: ref('ZoneVO', 'Uuid of the zone.'),
    isDefault: optional(bool('Whether it is taken where no zone is named.')),
  },
  output: {
    inventory: inventory(zone),
  },
})

export const changeZoneState = defineApi({
  name: 'ChangeZoneState',
  message: 'org.zstack.header.zone.APIChangeZoneStateMsg',
  method: 'PUT',
  path: '/zones/{uuid}/actions',
  summary: 'Enable or disable a zone; a disabled one takes no new VMs.',
  input: {
    uuid: ref('ZoneVO', 'Uuid of the zone.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(zone),
  },
})

export const deleteZone = defineApi({
  name: 'DeleteZone',
  message: 'org.zstack.header.zone.APIDeleteZoneMsg',
  method: 'DELETE',
  path: '/zones/{uuid}',
  summary: 'Delete a zone that holds nothing any more.',
  input: {
    uuid: ref('ZoneVO', 'Uuid of the zone.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryZone = defineQuery({
  name: 'QueryZone',
  message: 'org.zstack.header.zone.APIQueryZoneMsg',
  path: '/zones',
  resource: zone,
})
