/** The API on this page's own origin, and the session of this browser tab. */
import { sha512 } from './sha512.js'

const BASE = '/zstack/v1'
const POLL_MS = 500
const SESSION = 'zstack.session'

/** A call that failed: `code` and `details` are the server's, `NETWORK` when there was no answer. */
export class ApiError extends Error {
  constructor(code, details) {
    super(details)
    this.name = 'ApiError'
    this.code = code
  }

  get isSessionOver() {
    return this.code === 'ID.1001'
  }
}

/** Who is logged in: { uuid, accountUuid, accountName, hasDefaultPassword }, or undefined. Ends with the tab. */
export function currentSession() {
  try {
    return JSON.parse(sessionStorage.getItem(SESSION)) ?? undefined
  } catch {
    return undefined
  }
}

export function keepSession(session) {
  if (session === undefined) sessionStorage.removeItem(SESSION)
  else sessionStorage.setItem(SESSION, JSON.stringify(session))
}

export async function logIn(accountName, password) {
  const logInByAccount = { accountName, password: await sha512(password) }
  const { inventory } = await call('PUT', '/accounts/login', { logInByAccount })
  const hasDefaultPassword = accountName === 'admin' && password === 'password'
  const session = {
    uuid: inventory.uuid,
    accountUuid: inventory.accountUuid,
    accountName,
    hasDefaultPassword,
  }
  keepSession(session)
  return session
}

export async function logOut() {
  const session = currentSession()
  keepSession(undefined)
  if (session) await call('DELETE', `/accounts/sessions/${session.uuid}`)
}

/** Calls an API below /zstack/v1 and waits for its end. Returns the members of the reply. */
export async function call(method, path, body) {
  let { status, reply } = await exchange(method, BASE + path, body)
  if (status !== 202) return reply
  // Polled here and not where it says: its address may not be the one this page came from.
  const job = `${BASE}/api-jobs/${encodeURIComponent(reply.location.split('/').at(-1))}`
  while (status === 202) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    const polled = await exchange('GET', job)
    status = polled.status
    reply = polled.reply
  }
  return reply
}

export async function list(path, query = '') {
  return (await call('GET', path + query)).inventories ?? []
}

/** Progress of every running task. Only the older door asks for all of them at once. */
export async function runningTasks() {
  const session = { uuid: currentSession()?.uuid }
  const message = { 'org.zstack.header.core.progress.APIGetTaskProgressMsg': { session } }
  const { reply } = await exchange('POST', '/zstack/api', message)
  const [result = {}] = Object.values(JSON.parse(reply.result ?? '{}'))
  if (result.error) throw new ApiError(result.error.code, explain(result.error))
  return result.inventories ?? []
}

async function exchange(method, url, body) {
  const headers = { 'X-Time-Format': 'epoch-ms' }
  const session = currentSession()
  if (session) headers.Authorization = `OAuth ${session.uuid}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response
  let text
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    text = await response.text()
  } catch (error) {
    throw new ApiError('NETWORK', error.message)
  }
  return { status: response.status, reply: readReply(response, text) }
}

function readReply(response, text) {
  let reply
  try {
    reply = text === '' ? {} : JSON.parse(text)
  } catch {
    throw new ApiError(`HTTP ${response.status}`, text.slice(0, 300))
  }
  if (reply.error) throw new ApiError(reply.error.code, explain(reply.error))
  if (!response.ok) throw new ApiError(`HTTP ${response.status}`, text.slice(0, 300))
  return reply
}

/** What happened, and why as far as the causes tell. */
function explain(error) {
  const parts = []
  for (let e = error; e; e = e.cause) parts.push(e.details || e.description)
  return parts.join(': ')
}
