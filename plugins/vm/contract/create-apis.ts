import {
  anything,
  bool,
  choice,
  defineApi,
  defineQuery,
  int,
  inventory,
  list,
  long,
  map,
  optional,
  ref,
  refs,
  text,
  unsupported,
  withDefault,
} from '#contract'
import { vmInstance } from './resources.ts'

export const createVmInstance = defineApi({
  name: 'CreateVmInstance',
  message: 'org.zstack.header.vm.APICreateVmInstanceMsg',
  path: '/vm-instances',
  summary: 'Create a VM from an image and start it.',
  input: {
    name: text('Name people see.', { max: 255 }),
    instanceOfferingUuid: optional(ref('InstanceOfferingVO', 'CPU and memory, as an offering.')),
    cpuNum: optional(int('Virtual CPUs.')),
    memorySize: optional(long('Memory in bytes.')),
    reservedMemorySize: optional(
      long('Bytes of memory that are always backed; kept, not enforced.', [0, Number.MAX_SAFE_INTEGER]),
    ),
    imageUuid: optional(ref('ImageVO', 'The image.', { notEmpty: true })),
    l3NetworkUuids: optional(refs('L3NetworkVO', 'L3 networks, one NIC each.')),
    vmNicParams: unsupported(
      text('NICs with addresses of their own, as JSON; use l3NetworkUuids and staticIp tags.'),
    ),
    type: optional(choice('UserVm.', ['UserVm', 'ApplianceVm'])),
    rootDiskOfferingUuid: optional(ref('DiskOfferingVO', 'Size of the root disk, as an offering.')),
    rootDiskSize: optional(long('Size of the root disk in bytes; at least that of the image.')),
    dataDiskSizes: optional(list('Sizes in bytes of data disks to create along.', long('One of them.'))),
    dataDiskOfferingUuids: optional(refs('DiskOfferingVO', 'Offerings of data disks to create along.')),
    zoneUuid: optional(ref('ZoneVO', 'The zone.')),
    clusterUuid: optional(ref('ClusterVO', 'The cluster.')),
    hostUuid: optional(ref('HostVO', 'The host.')),
    primaryStorageUuidForRootVolume: optional(ref('PrimaryStorageVO', 'Where the root volume goes.')),
    description: optional(text('Free text.')),
    defaultL3NetworkUuid: optional(text('The network that gives the default route and names.')),
    strategy: withDefault(
      choice('InstantStart, or CreateStopped to leave it off.', [
        'InstantStart',
        'JustCreate',
        'CreateStopped',
      ]),
      'InstantStart',
    ),
    rootVolumeSystemTags: unsupported(list('System tags of the root volume.', text('One of them.'))),
    dataVolumeSystemTags: unsupported(list('System tags of every data volume.', text('One of them.'))),
    dataVolumeSystemTagsOnIndex: unsupported(
      map(
        'System tags of data volumes by their order.',
        list('System tags of data volumes by their order.', text('One of them.')),
      ),
    ),
    sshKeyPairUuids: unsupported(
      list(
        'SSH key pairs; use the system tag sshkey::{public key}.',
        text('SSH key pairs; use the system tag sshkey::{public key}.'),
      ),
    ),
    platform: optional(
      choice('Linux, Windows or Other; decides the devices.', [
        'Linux',
        'Windows',
        'Other',
        'Paravirtualization',
        'WindowsVirtio',
      ]),
    ),
    guestOsType: optional(text('Operating system, for people.', { max: 255 })),
    architecture: optional(choice('CPU architecture.', ['x86_64', 'aarch64', 'mips64el', 'loongarch64'])),
    virtio: optional(bool('The guest has virtio drivers.')),
    diskAOs: unsupported(
      list(
        'Disks as objects; use dataDiskSizes or dataDiskOfferingUuids.',
        anything('Disks as objects; use dataDiskSizes or dataDiskOfferingUuids.'),
      ),
    ),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const updateVmInstance = defineApi({
  name: 'UpdateVmInstance',
  message: 'org.zstack.header.vm.APIUpdateVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Change name, description or size of a VM.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    state: optional(choice('Administrative state.', ['Stopped', 'Running'])),
    defaultL3NetworkUuid: optional(ref('L3NetworkVO', 'The network that gives the default route and names.')),
    platform: optional(
      choice('Linux, Windows or Other; decides the devices.', [
        'Linux',
        'Windows',
        'Other',
        'Paravirtualization',
        'WindowsVirtio',
      ]),
    ),
    cpuNum: optional(int('Virtual CPUs.', [1, 1024])),
    memorySize: optional(long('Memory in bytes.', [1, Number.MAX_SAFE_INTEGER])),
    reservedMemorySize: optional(
      long('Bytes of memory that are always backed; kept, not enforced.', [0, Number.MAX_SAFE_INTEGER]),
    ),
    guestOsType: optional(text('Operating system, for people.', { max: 255 })),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const queryVmInstance = defineQuery({
  name: 'QueryVmInstance',
  message: 'org.zstack.header.vm.APIQueryVmInstanceMsg',
  path: '/vm-instances',
  resource: vmInstance,
})
