/** How each kind of thing looks on the status page. */
import { element, showItems, size } from './dom.js'
import { stateWord, word } from './words.js'

const byId = (id) => document.getElementById(id)
const TONES = {
  good: ['Running', 'Connected', 'Enabled'],
  busy: ['Starting', 'Stopping', 'Rebooting', 'Migrating', 'Connecting', 'Created', 'Pausing', 'Resuming'],
  bad: ['Disconnected', 'Unknown', 'NoState', 'Crashed'],
}
let actions = {}

/** What the buttons of a VM do: { console, start, stop }, each called with the VM. */
export function vmRowActions(handlers) {
  actions = handlers
}

export function show({ hosts, primaryStorages, backupStorages, vms, tasks }, busy) {
  const hostNames = new Map(hosts.map((host) => [host.uuid, host.name]))
  byId('vm-count').textContent = vms.length || ''
  byId('host-count').textContent = hosts.length || ''
  const rows = vms.map((vm) => vmRow(vm, hostNames, busy.has(vm.uuid)))
  showItems(byId('vms'), rows, { key: (row) => row.uuid, build: buildVm, empty: emptyRow })
  const uuid = (item) => item.uuid
  const none = (name) => () => element('li', { class: 'quiet empty' }, word(name))
  showItems(byId('hosts'), hosts.map(hostCard), { key: uuid, build: buildCard, empty: none('noHosts') })
  showItems(byId('primary-storages'), primaryStorages.map(storageCard), {
    key: uuid,
    build: buildCard,
    empty: none('noPrimaryStorage'),
  })
  showItems(byId('backup-storages'), backupStorages.map(storageCard), {
    key: uuid,
    build: buildCard,
    empty: none('noBackupStorage'),
  })
  showItems(byId('tasks'), latestOfEach(tasks), {
    key: (task) => task.taskUuid,
    build: buildTask,
    empty: none('noTasks'),
  })
}

/** Only what is shown, so that a change of anything else builds nothing again. */
function vmRow(vm, hostNames, isBusy) {
  const nics = [...(vm.vmNics ?? [])].sort((a, b) => a.deviceId - b.deviceId)
  return {
    uuid: vm.uuid,
    name: vm.name,
    state: vm.state,
    host: hostNames.get(vm.hostUuid) ?? '',
    ips: nics.map((nic) => nic.ip).filter(Boolean),
    size: word('sizeOf', { cpus: vm.cpuNum, memory: size(vm.memorySize) }),
    isBusy,
  }
}

function emptyRow() {
  return element('tr', {}, element('td', { colspan: 6, class: 'quiet empty' }, word('noVms')))
}

function buildVm(vm) {
  const cell = (name, ...content) => element('td', { 'data-label': word(name) }, ...content)
  return element(
    'tr',
    { 'data-uuid': vm.uuid },
    element('th', { scope: 'row', title: vm.uuid }, vm.name),
    cell('state', badge(vm.state)),
    cell('size', vm.size),
    cell('host', vm.host || '–'),
    cell('ip', vm.ips.join(', ') || '–'),
    element('td', { class: 'row-actions' }, ...vmButtons(vm)),
  )
}

function vmButtons(vm) {
  if (vm.isBusy) return [element('span', { class: 'quiet', role: 'status' }, word('working'))]
  const button = (name) =>
    element(
      'button',
      {
        'aria-label': word(`${name}Of`, vm),
        'data-focus': `${name} ${vm.uuid}`,
        onclick: () => actions[name](vm),
      },
      word(name),
    )
  if (vm.state === 'Running') return [button('console'), button('stop')]
  return vm.state === 'Stopped' ? [button('start')] : []
}

function badge(state) {
  const tone = Object.keys(TONES).find((name) => TONES[name].includes(state)) ?? 'plain'
  return element('span', { class: 'badge', 'data-tone': tone, title: state }, stateWord(state))
}

function hostCard(host) {
  return {
    uuid: host.uuid,
    name: host.name,
    detail: `${host.managementIp} · ${host.hypervisorType}`,
    states: host.state === 'Enabled' ? [host.status] : [host.status, host.state],
    bars: [
      ['cpu', host.totalCpuCapacity - host.availableCpuCapacity, host.totalCpuCapacity, 'count'],
      ['memory', host.totalMemoryCapacity - host.availableMemoryCapacity, host.totalMemoryCapacity],
    ],
  }
}

function storageCard(storage) {
  return {
    uuid: storage.uuid,
    name: storage.name,
    detail: `${storage.type} · ${storage.url}`,
    states: storage.state === 'Enabled' ? [storage.status] : [storage.status, storage.state],
    bars: [['space', storage.totalCapacity - storage.availableCapacity, storage.totalCapacity]],
  }
}

function buildCard({ name, detail, states, bars, uuid }) {
  return element(
    'li',
    { class: 'card', 'data-uuid': uuid },
    element('div', { class: 'card-head' }, element('h3', { title: uuid }, name), ...states.map(badge)),
    element('p', { class: 'quiet detail', title: detail }, detail),
    ...bars.map(buildBar),
  )
}

function buildBar([label, used, total, unit]) {
  const format = unit === 'count' ? String : size
  const text = word('usedOf', { used: format(used), total: format(total) })
  const share = total > 0 ? Math.min(1, Math.max(0, used / total)) : 0
  const progress = element('progress', {
    max: 1,
    value: share,
    'aria-label': `${word(label)}: ${text}`,
    class: share > 0.9 ? 'full' : undefined,
  })
  const line = element(
    'div',
    { class: 'bar-text' },
    element('span', {}, word(label)),
    element('span', {}, text),
  )
  return element('div', { class: 'bar' }, line, progress)
}

/** The newest percent and the newest words of each task. */
function latestOfEach(entries) {
  const tasks = new Map()
  for (const { taskUuid, taskName, type, content, arguments: words } of entries) {
    const task = tasks.get(taskUuid) ?? { taskUuid, taskName, percent: null, text: '' }
    if (type === 'Progress') task.percent = Number(content)
    task.text = words || (type === 'Progress' ? task.text : content)
    tasks.set(taskUuid, task)
  }
  return [...tasks.values()]
}

function buildTask({ taskName, percent, text }) {
  const isKnown = Number.isFinite(percent)
  const progress = element('progress', {
    max: 100,
    value: isKnown && percent !== null ? percent : undefined,
    'aria-label': taskName,
  })
  return element(
    'li',
    {},
    element('strong', {}, taskName),
    element('span', { class: 'quiet task-text' }, text),
    progress,
    element('span', { class: 'percent' }, percent === null ? '' : `${percent}%`),
  )
}
