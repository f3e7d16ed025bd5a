import {
  bool,
  choice,
  defineApi,
  defineQuery,
  inventory,
  optional,
  ref,
  refs,
  text,
  withDefault,
} from '#contract'
import { image } from './resources.ts'

export const addImage = defineApi({
  name: 'AddImage',
  message: 'org.zstack.header.image.APIAddImageMsg',
  path: '/images',
  summary: 'Fetch an image from an http, https or file URL.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    url: text('Where to fetch it from, as the image server reaches it: http, https or file.', { max: 1024 }),
    mediaType: optional(
      choice('RootVolumeTemplate, DataVolumeTemplate or ISO.', [
        'RootVolumeTemplate',
        'ISO',
        'DataVolumeTemplate',
      ]),
    ),
    guestOsType: optional(text('Operating system, for people.', { max: 255 })),
    architecture: optional(choice('CPU architecture.', ['x86_64', 'aarch64', 'mips64el', 'loongarch64'])),
    system: optional(bool('Made by the system for itself.')),
    format: optional(text('qcow2, raw or iso; may be left out for the media type ISO.')),
    platform: optional(
      choice('Linux, Windows or Other; decides the devices.', [
        'Linux',
        'Windows',
        'Other',
        'Paravirtualization',
        'WindowsVirtio',
      ]),
    ),
    backupStorageUuids: refs('BackupStorageVO', 'Where it goes to; one that succeeds is enough.', {
      notEmpty: true,
    }),
    type: optional(text('Ignored; kept for older clients.')),
    virtio: withDefault(bool('The guest has virtio drivers.'), true),
  },
  output: {
    inventory: inventory(image),
  },
})

export const updateImage = defineApi({
  name: 'UpdateImage',
  message: 'org.zstack.header.image.APIUpdateImageMsg',
  method: 'PUT',
  path: '/images/{uuid}/actions',
  summary: 'Change name, description or kind of an image.',
  input: {
    uuid: ref('ImageVO', 'Uuid of the image.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    guestOsType: optional(text('Operating system, for people.', { max: 255 })),
    mediaType: optional(
      choice('RootVolumeTemplate, DataVolumeTemplate or ISO.', [
        'RootVolumeTemplate',
        'DataVolumeTemplate',
        'ISO',
      ]),
    ),
    format: optional(
      choice('What it is already: the format of a file never changes.', ['raw', 'qcow2', 'iso']),
    ),
    system: optional(bool('Made by the system for itself.')),
    platform: optional(
      choice('Linux, Windows or Other; decides the devices.', [
        'Linux',
        'Windows',
        'Other',
        'Paravirtualization',
        'WindowsVirtio',
      ]),
    ),
    architecture: optional(choice('CPU architecture.', ['x86_64', 'aarch64', 'mips64el', 'loongarch64'])),
    virtio: optional(bool('The guest has virtio drivers.')),
  },
  output: {
    inventory: inventory(image),
  },
})

export const changeImageState = defineApi({
  name: 'ChangeImageState',
  message: 'org.zstack.header.image.APIChangeImageStateMsg',
  method: 'PUT',
  path: '/images/{uuid}/actions',
  summary: 'Enable or disable an image.',
  input: {
    uuid: ref('ImageVO', 'Uuid of the image.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(image),
  },
})

export const queryImage = defineQuery({
  name: 'QueryImage',
  message: 'org.zstack.header.image.APIQueryImageMsg',
  path: '/images',
  resource: image,
})
