/** What the stub's API knows: enough of each kind to show every look a page can have. */
export type Inventory = Record<string, unknown> & { uuid: string; name: string; state: string }

const GiB = 1024 ** 3
const startedAt = Date.now()
const uuid = (n: number) => String(n).padStart(32, '0')

const hosts = [
  { name: 'node-1', status: 'Connected', state: 'Enabled', cpu: [80, 22], memory: [64, 20.5] },
  { name: 'node-2', status: 'Disconnected', state: 'Enabled', cpu: [80, 80], memory: [64, 64] },
  { name: 'node-3', status: 'Connecting', state: 'Maintenance', cpu: [160, 2], memory: [128, 3] },
].map(({ cpu, memory, ...host }, n) => ({
  ...{ ...host, uuid: uuid(100 + n), managementIp: `10.0.0.${11 + n}`, hypervisorType: 'KVM' },
  ...{ totalCpuCapacity: cpu[0], availableCpuCapacity: cpu[1] },
  totalMemoryCapacity: (memory[0] ?? 0) * GiB,
  availableMemoryCapacity: (memory[1] ?? 0) * GiB,
}))

const storage = (n: number, name: string, type: string, [total = 0, free = 0]: number[]) => ({
  ...{ uuid: uuid(n), name, type, url: '/zstack_data', state: 'Enabled', status: 'Connected' },
  totalCapacity: total * GiB,
  availableCapacity: free * GiB,
})

function vms(consoleUuid: string): Inventory[] {
  const vm = (n: number, name: string, state: string, ips: string[]): Inventory => ({
    ...{ uuid: n === 0 ? consoleUuid : uuid(n), name, state, cpuNum: 2, memorySize: 4 * GiB },
    hostUuid: state === 'Running' ? uuid(100) : undefined,
    vmNics: ips.map((ip, deviceId) => ({ ip, deviceId })),
  })
  return [
    vm(0, 'web-1', 'Running', ['192.168.10.21', '10.1.0.5']),
    vm(1, 'db-1', 'Stopped', ['192.168.10.22']),
    vm(2, 'broken', 'Stopped', []),
    vm(3, '<img src=x onerror=alert(1)>', 'Migrating', ['192.168.10.24']),
    vm(4, '云主机-生产环境-01', 'Unknown', ['192.168.10.25']),
  ]
}

const busy = {
  ...{ version: '0.1.0', ringShare: 67, runningJobs: 12, waitingJobs: 3, queueDepth: 4 },
  ...{ eventLoopLagMs: 820, memoryBytes: 150 * 1024 ** 2 },
}

const lists: Readonly<Record<string, () => unknown[]>> = {
  'GET /management-nodes': () => [
    { uuid: uuid(9), hostName: '10.0.0.1', joinDate: startedAt - 93_784_000, heartBeat: Date.now(), ...busy },
    {
      uuid: uuid(10),
      hostName: '10.0.0.2',
      joinDate: startedAt - 93_784_000,
      heartBeat: Date.now() - 60_000,
    },
  ],
  'GET /hosts': () => hosts,
  'GET /primary-storage': () => [storage(200, 'local', 'LocalStorage', [930, 512])],
  'GET /backup-storage': () => [storage(300, 'images', 'Sftp', [200, 8])],
}

const tasks = [
  {
    taskUuid: uuid(400),
    taskName: 'AddImage',
    type: 'Progress',
    content: '42',
    arguments: 'downloading debian-12.qcow2',
  },
  {
    taskUuid: uuid(401),
    taskName: 'AddKVMHost',
    type: 'Task',
    content: 'installing the agent',
    arguments: '',
  },
]

export const inventories = { vms, lists, tasks }
