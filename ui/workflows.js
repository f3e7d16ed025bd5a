/** Work that failed and could not be taken back: why, for how long, and what a person can do about it. */
import { element, showItems } from './dom.js'
import { duration, word } from './words.js'

const byId = (id) => document.getElementById(id)
let actions = {}

/** What the buttons do: { retry, abandon }, each called with the workflow as it is shown. */
export function workflowRowActions(handlers) {
  actions = handlers
}

export function showWorkflows(workflows, busy) {
  byId('stuck').hidden = workflows.length === 0
  byId('stuck-count').textContent = workflows.length || ''
  const rows = workflows.map((workflow) => stuckRow(workflow, busy.has(workflow.uuid)))
  const empty = () => element('tr')
  showItems(byId('workflows'), rows, { key: (row) => row.uuid, build: buildRow, empty })
}

function stuckRow({ uuid, name, createDate, error, steps = [] }, isBusy) {
  const left = steps.filter((step) => !step.undone).sort((a, b) => b.seq - a.seq)
  const failed = left.find((step) => step.undoError)
  return {
    uuid,
    name,
    step: failed?.name ?? left[0]?.name ?? '–',
    left: left.map((step) => step.name),
    reason: failed?.undoError.details ?? '–',
    cause: error?.details ?? '',
    age: duration((Date.now() - createDate) / 1000),
    isBusy,
  }
}

function buildRow(row) {
  const cell = (name, ...content) => element('td', { 'data-label': word(name) }, ...content)
  const cause = row.cause && element('p', { class: 'quiet' }, word('begunBy', row))
  return element(
    'tr',
    { 'data-uuid': row.uuid },
    element('th', { scope: 'row', title: row.uuid }, row.name),
    cell('step', row.step),
    element('td', { class: 'reason', 'data-label': word('reason') }, element('p', {}, row.reason), cause),
    cell('age', row.age),
    element('td', { class: 'row-actions' }, ...buttons(row)),
  )
}

function buttons(row) {
  if (row.isBusy) return [element('span', { class: 'quiet', role: 'status' }, word('working'))]
  return ['retry', 'abandon'].map((name) =>
    element(
      'button',
      {
        'aria-label': word(`${name}Of`, row),
        'data-focus': `${name} ${row.uuid}`,
        class: name === 'abandon' ? 'danger-button' : undefined,
        onclick: () => actions[name](row),
      },
      word(name),
    ),
  )
}
