import { defineApi, inventory, list, optional, ref, refs, text, withDefault } from '#contract'
import { image } from './resources.ts'

export const deleteImage = defineApi({
  name: 'DeleteImage',
  message: 'org.zstack.header.image.APIDeleteImageMsg',
  method: 'DELETE',
  path: '/images/{uuid}',
  summary: 'Delete an image; it can be recovered until it is expunged.',
  input: {
    uuid: ref('ImageVO', 'Uuid of the image.', { successIfMissing: true }),
    backupStorageUuids: optional(
      refs('BackupStorageVO', 'Only the copies there; all when left out.', { notEmpty: true }),
    ),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const recoverImage = defineApi({
  name: 'RecoverImage',
  message: 'org.zstack.header.image.APIRecoverImageMsg',
  method: 'PUT',
  path: '/images/{imageUuid}/actions',
  summary: 'Take the deletion of an image back.',
  input: {
    imageUuid: ref('ImageVO', 'The image.'),
    backupStorageUuids: optional(list('Only the copies there; all when left out.', text('One of them.'))),
  },
  output: {
    inventory: inventory(image),
  },
})

export const expungeImage = defineApi({
  name: 'ExpungeImage',
  message: 'org.zstack.header.image.APIExpungeImageMsg',
  method: 'PUT',
  path: '/images/{imageUuid}/actions',
  summary: 'Remove a deleted image for good.',
  input: {
    uuid: optional(ref('ImageVO', 'Ignored; kept for older clients.')),
    imageUuid: ref('ImageVO', 'The image.'),
    backupStorageUuids: optional(
      refs('BackupStorageVO', 'Only the copies there; all when left out.', { notEmpty: true }),
    ),
  },
})
