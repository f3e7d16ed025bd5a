/** The screen of one VM. The token comes in the URL's fragment, which no server and no log ever sees, and is used once. */
import RFB from '/console/novnc/core/rfb.js'
import { call, currentSession } from './api.js'
import { translatePage, word } from './words.js'

const byId = (id) => document.getElementById(id)
const fragment = new URLSearchParams(location.hash.slice(1))
const vmUuid = fragment.get('vm') ?? ''
const vmName = fragment.get('name') ?? ''
const passwordDialog = byId('password-dialog')
let rfb

translatePage()
if (vmName) byId('name').textContent = vmName
document.title = `${vmName || word('consoleTitle')} – ${word('consoleTitle')}`
const firstToken = fragment.get('token')
fragment.delete('token')
history.replaceState(null, '', `#${fragment}`)

byId('ctrl-alt-del').addEventListener('click', () => {
  rfb?.sendCtrlAltDel()
  rfb?.focus()
})
byId('fullscreen').addEventListener('click', () => toggleFullscreen())
byId('scale').addEventListener('change', () => applyScale())
byId('reconnect').addEventListener('click', () => reconnect())
byId('password-form').addEventListener('submit', (event) => {
  event.preventDefault()
  rfb?.sendCredentials({ password: event.target.elements.password.value })
  event.target.reset()
  passwordDialog.close()
})

if (firstToken) connect(firstToken)
else showEnd(word('noToken'))

function connect(token) {
  showState('connecting')
  byId('ended').hidden = true
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const socket = new WebSocket(`${scheme}://${location.host}/console/websockify?token=${token}`, ['binary'])
  socket.binaryType = 'arraybuffer'
  let reason = ''
  let isOpen = false
  socket.addEventListener('open', () => {
    isOpen = true
  })
  socket.addEventListener('close', (event) => {
    reason ||= isOpen ? event.reason : word('refused')
  })
  rfb = new RFB(byId('screen'), socket, { shared: true })
  rfb.addEventListener('connect', () => {
    showState('connected')
    rfb.focus()
  })
  rfb.addEventListener('credentialsrequired', () => passwordDialog.showModal())
  rfb.addEventListener('securityfailure', () => {
    reason = word('wrongGuestPassword')
  })
  rfb.addEventListener('disconnect', () => {
    rfb = undefined
    passwordDialog.close()
    showEnd(reason)
  })
  applyScale()
}

function applyScale() {
  if (!rfb) return
  rfb.scaleViewport = byId('scale').checked
  rfb.clipViewport = !byId('scale').checked
  rfb.dragViewport = false
}

async function toggleFullscreen() {
  if (document.fullscreenElement) await document.exitFullscreen()
  else await document.documentElement.requestFullscreen()
  rfb?.focus()
}

async function reconnect() {
  byId('reconnect').disabled = true
  showState('connecting')
  try {
    const { inventory } = await call('POST', '/consoles', { params: { vmInstanceUuid: vmUuid } })
    connect(inventory.token)
  } catch (error) {
    showEnd(error.code === 'NETWORK' ? word('noAnswer') : error.message)
  } finally {
    byId('reconnect').disabled = false
  }
}

function showState(state) {
  byId('state').textContent = word(state)
  byId('state').dataset.tone = { connected: 'good', connecting: 'busy', disconnected: 'bad' }[state]
  byId('ctrl-alt-del').disabled = state !== 'connected'
}

/** A pass is good for one connection, so a new one takes the session that opened this window. */
function showEnd(reason) {
  const canReconnect = vmUuid !== '' && currentSession() !== undefined
  showState('disconnected')
  byId('reason').textContent = reason || word('disconnected')
  byId('hint').textContent = word(canReconnect ? 'reconnectHint' : 'reopenHint')
  byId('reconnect').hidden = !canReconnect
  byId('ended').hidden = false
  if (canReconnect) byId('reconnect').focus()
}
