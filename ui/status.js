/** The status page: logs in, then shows the cloud and refreshes it every two seconds, one request for each kind of thing. */
import { ApiError, call, currentSession, keepSession, list, logIn, logOut, runningTasks } from './api.js'
import { element } from './dom.js'
import { showNodes } from './nodes.js'
import { sha512 } from './sha512.js'
import { show, vmRowActions } from './views.js'
import { language, translatePage, word } from './words.js'
import { showWorkflows, workflowRowActions } from './workflows.js'

const REFRESH_MS = 2000
const MIN_PASSWORD = 8
const byId = (id) => document.getElementById(id)
const busy = new Map()
let known = { hosts: [], primaryStorages: [], backupStorages: [], vms: [], tasks: [], workflows: [] }
let updatedAt
let timer
let refreshes = 0

translatePage()
document.title = word('title')
byId('login-form').addEventListener('submit', submitLogin)
byId('log-out').addEventListener('click', () => leave())
byId('change-password').addEventListener('click', () => byId('password-dialog').showModal())
byId('password-cancel').addEventListener('click', () => byId('password-dialog').close())
byId('password-form').addEventListener('submit', changePassword)
vmRowActions({ console: openConsole, start: startVm, stop: stopVm })
workflowRowActions({ retry: retryWorkflow, abandon: abandonWorkflow })
if (currentSession()) enter()
else showLogin()

function showLogin(error) {
  clearTimeout(timer)
  refreshes += 1
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close()
  byId('view').hidden = true
  byId('login').hidden = false
  showError('login-error', error)
  const { account, password } = byId('login-form').elements
  password.value = ''
  const target = account.value ? password : account
  target.focus()
}

function showError(id, text) {
  byId(id).textContent = text ?? ''
  byId(id).hidden = !text
}

async function submitLogin(event) {
  event.preventDefault()
  const { account, password } = event.target.elements
  const button = event.target.querySelector('button')
  button.disabled = true
  button.textContent = word('loggingIn')
  try {
    await logIn(account.value, password.value)
    enter()
  } catch (error) {
    showLogin(explainLogin(error))
  } finally {
    button.disabled = false
    button.textContent = word('logIn')
  }
}

function explainLogin(error) {
  if (error.code === 'NETWORK') return word('noAnswer')
  // The server's text says how long to wait after too many attempts.
  return error.code === 'ID.1000' && !/\d/.test(error.message) ? word('wrongLogin') : error.message
}

function enter() {
  const session = currentSession()
  byId('login').hidden = true
  byId('view').hidden = false
  byId('account').textContent = session.accountName
  byId('default-password').hidden = !session.hasDefaultPassword
  byId('messages').replaceChildren()
  void showVersion()
  void refresh()
}

async function leave(error) {
  try {
    await logOut()
  } catch {
    // The session ends by itself; the tab has forgotten it already.
  }
  showLogin(error)
}

async function showVersion() {
  try {
    byId('version').textContent = (await call('PUT', '/management-nodes/actions', { getVersion: {} })).version
  } catch {
    // A detail of the page; a node that does not answer is told by the refresh.
    byId('version').textContent = '–'
  }
}

/** Shows the newest state. A refresh that was overtaken by another shows nothing and does not go on. */
async function refresh() {
  clearTimeout(timer)
  refreshes += 1
  const own = refreshes
  try {
    const [nodes, hosts, primaryStorages, backupStorages, vms, tasks, workflows] = await Promise.all([
      list('/management-nodes'),
      list('/hosts', '?sort=name'),
      list('/primary-storage', '?sort=name'),
      list('/backup-storage', '?sort=name'),
      list('/vm-instances', '?sort=name'),
      runningTasks(),
      list('/workflows', '?q=state=Stuck&sort=createDate'),
    ])
    if (own !== refreshes) return
    known = { hosts, primaryStorages, backupStorages, vms, tasks, workflows }
    updatedAt = new Date()
    showNodes(nodes)
    render()
    showProblem(undefined)
  } catch (error) {
    if (own !== refreshes) return
    if (error instanceof ApiError && error.isSessionOver) {
      keepSession(undefined)
      return showLogin(word('sessionOver'))
    }
    showProblem(error)
  }
  timer = setTimeout(refresh, REFRESH_MS)
}

function render() {
  show(known, busy)
  showWorkflows(known.workflows, busy)
}

function showProblem(error) {
  const box = byId('no-answer')
  const time = updatedAt?.toLocaleTimeString(language) ?? '–'
  box.hidden = error === undefined
  const text = error === undefined ? '' : error.code === 'NETWORK' ? word('noAnswer') : error.message
  if (box.firstElementChild.textContent !== text) box.firstElementChild.textContent = text
  byId('updated').textContent = word(error === undefined ? 'updated' : 'stale', { time })
}

async function act(item, what, work) {
  busy.set(item.uuid, what)
  render()
  try {
    await work()
  } catch (error) {
    if (error.isSessionOver) return leave(word('sessionOver'))
    const why = error.code === 'NETWORK' ? word('noAnswer') : error.message
    addMessage('danger', word('failed', { what, why }))
  } finally {
    busy.delete(item.uuid)
  }
  await refresh()
}

function addMessage(tone, text) {
  const box = element('div', { class: `notice ${tone}` }, element('p', {}, text))
  box.append(element('button', { onclick: () => box.remove() }, word('dismiss')))
  byId('messages').prepend(box)
}

function startVm(vm) {
  const path = `/vm-instances/${vm.uuid}/actions`
  return act(vm, word('startOf', vm), () => call('PUT', path, { startVmInstance: {} }))
}

async function stopVm(vm) {
  if (!(await confirm(word('stopNow', vm), word('stop')))) return
  const path = `/vm-instances/${vm.uuid}/actions`
  await act(vm, word('stopOf', vm), () => call('PUT', path, { stopVmInstance: { type: 'grace' } }))
}

function retryWorkflow(workflow) {
  return act(workflow, word('retryOf', workflow), async () => {
    await call('PUT', `/workflows/${workflow.uuid}/actions`, { retryWorkflow: {} })
    addMessage('good', word('retried', workflow))
  })
}

async function abandonWorkflow(workflow) {
  const { name } = workflow
  const question = word('abandonNow', { name, steps: workflow.left.join(', ') })
  if (!(await confirm(question, word('abandon')))) return
  await act(workflow, word('abandonOf', workflow), async () => {
    const { left } = await call('PUT', `/workflows/${workflow.uuid}/actions`, { abandonWorkflow: {} })
    addMessage('warning', word('abandoned', { name, steps: left.map(({ step }) => step).join(', ') }))
  })
}

/** Asks in a dialog. Listens to what ends it and not to its closing, which is told late: after the next question was asked. */
function confirm(text, yes) {
  const dialog = byId('confirm')
  byId('confirm-text').textContent = text
  byId('confirm-yes').textContent = yes
  dialog.showModal()
  return new Promise((resolve) => {
    const answered = new AbortController()
    const { signal } = answered
    const answer = (isYes) => {
      answered.abort()
      resolve(isYes)
    }
    dialog.addEventListener('submit', (event) => answer(event.submitter?.value === 'yes'), { signal })
    dialog.addEventListener('cancel', () => answer(false), { signal })
  })
}

/** The window is opened by the click itself; one opened after the answer would be taken for a pop-up. */
async function openConsole(vm) {
  const page = window.open('', '_blank')
  if (page === null) return addMessage('danger', word('popupBlocked'))
  await act(vm, word('consoleOf', vm), async () => {
    try {
      const { inventory } = await call('POST', '/consoles', { params: { vmInstanceUuid: vm.uuid } })
      const fragment = new URLSearchParams({ vm: vm.uuid, name: vm.name, token: inventory.token })
      page.location.replace(`/ui/console.html#${fragment}`)
    } catch (error) {
      page.close()
      throw error
    }
  })
}

async function changePassword(event) {
  event.preventDefault()
  const { next, again } = event.target.elements
  const session = currentSession()
  if (next.value !== again.value) return showError('password-error', word('passwordsDiffer'))
  if (next.value.length < MIN_PASSWORD || next.value === 'password')
    return showError('password-error', word('passwordTooShort'))
  try {
    const updateAccount = { password: await sha512(next.value) }
    await call('PUT', `/accounts/${session.accountUuid}`, { updateAccount })
    keepSession({ ...session, hasDefaultPassword: false })
    byId('default-password').hidden = true
    byId('password-dialog').close()
    event.target.reset()
    showError('password-error', undefined)
    addMessage('good', word('passwordChanged'))
  } catch (error) {
    showError('password-error', error.code === 'NETWORK' ? word('noAnswer') : error.message)
  }
}
