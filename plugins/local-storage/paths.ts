import type { ImageSource, VolumePlace } from '#plugins/primary-storage/contract/extensions.ts'

/** Where things lie below the root of a local storage; the layout existing tools expect. */
export function volumePath(
  root: string,
  place: Pick<VolumePlace, 'kind' | 'accountUuid' | 'volumeUuid'>,
): string {
  const folder = place.kind === 'Root' ? 'rootVolumes' : 'dataVolumes'
  return `${root}/${folder}/acct-${place.accountUuid}/vol-${place.volumeUuid}/${place.volumeUuid}.qcow2`
}

const extensions = { qcow2: 'qcow2', raw: 'img', iso: 'iso' } as const

export function cachePath(root: string, image: Pick<ImageSource, 'imageUuid' | 'format'>): string {
  const folder = image.format === 'iso' ? 'iso' : 'template'
  return `${root}/imagecache/${folder}/${image.imageUuid}/${image.imageUuid}.${extensions[image.format]}`
}
