/** The management nodes: how much each has to do, and whether it keeps up. */
import { element, showItems, size } from './dom.js'
import { duration, word } from './words.js'

const byId = (id) => document.getElementById(id)
// Heartbeats come every few seconds; compared with the newest of them and not with this browser's clock.
const SILENT_MS = 15_000
const SLOW_MS = 500

export function showNodes(nodes) {
  const newest = Math.max(...nodes.map((node) => node.heartBeat))
  const rows = nodes.map((node) => nodeRow(node, newest))
  byId('node-count').textContent = nodes.length || ''
  const lives = nodes.map((node) => (node.heartBeat - node.joinDate) / 1000)
  byId('uptime').textContent = lives.length === 0 ? '–' : duration(Math.max(...lives))
  const empty = () => element('tr', {}, element('td', { colspan: 8, class: 'quiet empty' }, '–'))
  showItems(byId('nodes'), rows, { key: (row) => row.uuid, build: buildRow, empty })
}

/** Nodes of an older version tell fewer facts. */
function nodeRow(node, newest) {
  const known = (value, format = String) => (value === undefined || value === null ? '–' : format(value))
  return {
    uuid: node.uuid,
    name: node.hostName,
    version: known(node.version),
    isSilent: newest - node.heartBeat > SILENT_MS,
    share: known(node.ringShare, (share) => `${share} %`),
    jobs: known(node.runningJobs, (running) => word('jobsOf', { running, waiting: node.waitingJobs ?? 0 })),
    queued: known(node.queueDepth),
    lag: known(node.eventLoopLagMs, (ms) => `${ms} ms`),
    isSlow: (node.eventLoopLagMs ?? 0) > SLOW_MS,
    memory: known(node.memoryBytes, size),
  }
}

function buildRow(row) {
  const cell = (name, text, isBad) =>
    element('td', { 'data-label': word(name) }, isBad ? badge('bad', text) : text)
  const state = row.isSilent ? badge('bad', word('silent')) : badge('good', word('alive'))
  return element(
    'tr',
    { 'data-uuid': row.uuid },
    element('th', { scope: 'row', title: row.uuid }, row.name),
    element('td', { 'data-label': word('state') }, state),
    cell('version', row.version),
    cell('share', row.share),
    cell('jobs', row.jobs),
    cell('queued', row.queued),
    cell('lag', row.lag, row.isSlow),
    cell('memory', row.memory),
  )
}

function badge(tone, text) {
  return element('span', { class: 'badge', 'data-tone': tone }, text)
}
