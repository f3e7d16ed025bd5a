import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'

/**
 * The tool as a child process against a server that speaks the legacy door by a script: what exactly it sends, what it prints,
 * how it exits. That the real server understands it is checked where the server is.
 */
const program = fileURLToPath(new URL('./main.ts', import.meta.url))
const session = 'f'.repeat(32)

const contract = {
  version: '1',
  apis: [
    {
      name: 'LogInByAccount',
      message: 'x.APILogInByAccountMsg',
      kind: 'sync',
      needSession: false,
      summary: 'Log in.',
      example: {},
      params: [
        { name: 'accountName', type: 'string', required: true, description: 'Account.' },
        { name: 'password', type: 'string', required: true, description: 'Password.' },
      ],
      result: [],
    },
    {
      name: 'LogOut',
      message: 'x.APILogOutMsg',
      kind: 'sync',
      needSession: false,
      summary: 'Log out.',
      example: {},
      params: [{ name: 'sessionUuid', type: 'string', required: false, description: 'Session.' }],
      result: [],
    },
    {
      name: 'UpdateAccount',
      message: 'x.APIUpdateAccountMsg',
      kind: 'job',
      needSession: true,
      summary: 'Change an account.',
      example: {},
      params: [{ name: 'password', type: 'string', required: false, description: 'Password.' }],
      result: [],
    },
    {
      name: 'CreateZone',
      message: 'x.APICreateZoneMsg',
      kind: 'job',
      needSession: true,
      summary: 'Create a zone.',
      example: { name: 'my zone' },
      params: [
        { name: 'name', type: 'string', required: true, description: 'Name.', max: 255 },
        { name: 'size', type: 'int', required: false, description: 'Size.', range: [1, 9], default: 3 },
        { name: 'mode', type: 'string', required: false, description: 'Mode.', validValues: ['A', 'B'] },
        { name: 'uuids', type: 'list<string>', required: false, description: 'Uuids.' },
        { name: 'services', type: 'map', required: false, description: 'Services.' },
        { name: 'rules', type: 'list<Rule>', required: false, description: 'Rules.' },
      ],
      result: [{ name: 'inventory', type: 'ZoneInventory' }],
    },
    {
      name: 'QueryZone',
      message: 'x.APIQueryZoneMsg',
      kind: 'query',
      needSession: true,
      summary: 'List zones.',
      example: { conditions: ['name=a'], limit: 10 },
      params: [],
      result: [],
      inventory: 'ZoneInventory',
    },
  ],
  inventories: [
    {
      name: 'ZoneInventory',
      fields: [
        { name: 'uuid', type: 'string' },
        { name: 'name', type: 'string' },
      ],
      relations: { cluster: 'ClusterInventory' },
    },
  ],
}

let server: Server
let port: number
let home: string
let received: Record<string, unknown>[]
let contractRequests: (string | undefined)[]
/** What the server replies to each message. */
let reply: Record<string, unknown>
/** How often a poll is cut off before it is answered. */
let cutPolls: number

before(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => answer(request.url ?? '', request.headers['if-none-match'], body, response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
after(() => void server.close())
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'zstack-cli-'))
  received = []
  contractRequests = []
  reply = { success: true }
  cutPolls = 0
})
afterEach(() => rm(home, { recursive: true, force: true }))

function answer(
  url: string,
  etag: string | undefined,
  body: string,
  response: { writeHead(status: number, headers?: object): { end(text?: string): void }; destroy(): void },
): void {
  const envelope = { state: 'Done', result: JSON.stringify({ 'x.Reply': reply }) }
  if (url === '/zstack/v1/contract') {
    contractRequests.push(etag)
    if (etag === '"v1"') response.writeHead(304).end()
    else response.writeHead(200, { etag: '"v1"' }).end(JSON.stringify(contract))
  } else if (url === '/zstack/api/') {
    received.push(JSON.parse(body))
    const isJob = body.includes('Create')
    response.writeHead(200).end(JSON.stringify(isJob ? { uuid: 'job1', state: 'Processing' } : envelope))
  } else if (cutPolls > 0) {
    cutPolls -= 1
    response.destroy()
  } else if (url === '/zstack/api/result/job1') response.writeHead(200).end(JSON.stringify(envelope))
  else response.writeHead(404).end()
}

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function cli(words: readonly string[], options: { input?: string; env?: object } = {}): Promise<Run> {
  const address = words.includes('-p') ? [] : ['-H', '127.0.0.1', '-p', String(port)]
  const child = spawn(process.execPath, [program, ...address, ...words], {
    env: { PATH: process.env.PATH, ZSTACK_CLI_HOME: home, ...options.env },
    stdio: 'pipe',
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  child.stdin.end(options.input ?? '')
  const [code] = await once(child, 'close')
  return { code, out, err }
}

async function logIn(): Promise<void> {
  reply = { inventory: { uuid: session }, success: true }
  const { code, err } = await cli(['LogInByAccount', 'accountName=admin', 'password=password'])
  assert.equal(code, 0, err)
  received = []
  reply = { success: true }
}

/** A port nobody listens on. */
async function closedPort(): Promise<string> {
  const holder = createServer()
  holder.listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port: free } = holder.address() as AddressInfo
  holder.close()
  await once(holder, 'close')
  return String(free)
}

const lastContent = () => Object.values(received.at(-1) ?? {})[0] as Record<string, unknown>

test('logging in sends the hash and keeps the session for its owner alone; logging out drops it', async () => {
  reply = { inventory: { uuid: session }, success: true }
  const { code, out } = await cli(['LogInByAccount', 'accountName=admin', 'password=pass=word'])
  assert.deepEqual([code, JSON.parse(out)], [0, reply])
  const password = createHash('sha512').update('pass=word').digest('hex')
  assert.deepEqual(received, [{ 'x.APILogInByAccountMsg': { accountName: 'admin', password, session: {} } }])
  const file = join(home, 'session')
  assert.equal(await readFile(file, 'utf8'), `${session}\nadmin`)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await cli(['LogOut'])
  assert.deepEqual(lastContent(), { sessionUuid: session, session: { uuid: session } })
  await assert.rejects(stat(file), /ENOENT/)
})

test('without a session nothing is sent', async () => {
  const { code, err } = await cli(['QueryZone'])
  assert.equal(code, 1)
  assert.match(err, /LogInByAccount accountName=admin/)
  assert.deepEqual(received, [])
})

test('parameters: text stays text, lists are split, maps and lists of objects are read', async () => {
  await logIn()
  const words = ['name=a=b', 'size=4', 'uuids=a\\,b,c', 'systemTags=x::y']
  const literals = [`services={'p':['DHCP','DNS'],}`, 'rules=[{"from":1,"ok":true},{\'to\':None}]']
  const { code, err } = await cli(['CreateZone', ...words, ...literals])
  assert.equal(code, 0, err)
  assert.deepEqual(lastContent(), {
    name: 'a=b',
    size: '4',
    uuids: ['a,b', 'c'],
    systemTags: ['x::y'],
    services: { p: ['DHCP', 'DNS'] },
    rules: [{ from: 1, ok: true }, { to: null }],
    session: { uuid: session },
  })
})

test('conditions in every spelling', async () => {
  await logIn()
  const words = [
    'a=1',
    'b!=2',
    'c>3',
    'd<4',
    'e>=5',
    'f<=6',
    'g?=7,8',
    'h!?=9',
    'i~=x',
    'j!~=y%',
    'k=null',
    'l!=null',
  ]
  const options = ['fields=a,b,', 'sortBy=a', 'sortDirection=desc', 'limit=5', 'start=1', 'count=true']
  await cli(['QueryZone', ...words, ...options, 'cluster.name=z', "conditions=[{'name':'m','op':'='}]"])
  assert.deepEqual(lastContent(), {
    conditions: [
      { name: 'a', op: '=', value: '1' },
      { name: 'b', op: '!=', value: '2' },
      { name: 'c', op: '>', value: '3' },
      { name: 'd', op: '<', value: '4' },
      { name: 'e', op: '>=', value: '5' },
      { name: 'f', op: '<=', value: '6' },
      { name: 'g', op: 'in', value: '7,8' },
      { name: 'h', op: 'not in', value: '9' },
      { name: 'i', op: 'like', value: '%x%' },
      { name: 'j', op: 'not like', value: 'y%' },
      { name: 'k', op: 'is null' },
      { name: 'l', op: 'is not null' },
      { name: 'cluster.name', op: '=', value: 'z' },
      { name: 'm', op: '=' },
    ],
    fields: ['a', 'b'],
    sortBy: 'a',
    sortDirection: 'desc',
    limit: '5',
    start: '1',
    count: 'true',
    session: { uuid: session },
  })
})

test('a password that may be changed is hashed when it is given', async () => {
  await logIn()
  await cli(['UpdateAccount', 'password=x'])
  assert.equal(lastContent().password, createHash('sha512').update('x').digest('hex'))
  await cli(['UpdateAccount'])
  assert.deepEqual(lastContent(), { session: { uuid: session } })
})

test('mistakes in the command: exit code 1, a suggestion, nothing is sent', async () => {
  await logIn()
  const mistakes: [string[], RegExp][] = [
    [['CreatZone', 'name=a'], /there is no API 'CreatZone'; did you mean 'CreateZone'\?/],
    [['CreateZone', 'nmae=a'], /CreateZone has no parameter 'nmae'; did you mean 'name'\?/],
    [['CreateZone'], /CreateZone needs: name; see: zstack-cli help CreateZone/],
    [['CreateZone', 'name'], /'name' is not of the form name=value/],
    [['CreateZone', 'name=a', 'services={x'], /the value of 'services' cannot be read/],
    [['QueryZone', 'name'], /'name' is not of the form/],
    [['LogInByAccount', 'accountName=a', 'password='], /needs: password/],
    [['QueryZone', '--nonsense'], /--nonsense/],
    [['-p', 'x', 'QueryZone'], /the port must be 1 to 65535/],
  ]
  for (const [words, expected] of mistakes) {
    const { code, out, err } = await cli(words)
    assert.deepEqual([code, out], [1, ''], err)
    assert.match(err, expected)
  }
  assert.deepEqual(received, [])
})

test('a failed API: exit code 3, code, details, causes and advice on the error output', async () => {
  await logIn()
  const cause = { code: 'SYS.1016', description: 'A disk failed', details: 'disk \u001b[2Jfull' }
  reply = {
    success: false,
    error: { code: 'SYS.1007', description: 'Bad', details: 'field[name] is bad', cause },
  }
  const { code, out, err } = await cli(['CreateZone', 'name=a'])
  assert.deepEqual([code, out], [3, ''])
  assert.deepEqual(err.split('\n'), [
    'SYS.1007 Bad',
    '  field[name] is bad',
    '  caused by SYS.1016 A disk failed: disk  [2Jfull',
    '  what to do: correct the parameters; zstack-cli help CreateZone shows what they may be',
    '',
  ])
})

test('a server that is away for a moment does not end the wait for a job', async () => {
  await logIn()
  cutPolls = 2
  const { code, err } = await cli(['CreateZone', 'name=a'])
  assert.deepEqual([code, cutPolls], [0, 0], err)
})

test('an expired session is dropped', async () => {
  await logIn()
  reply = { success: false, error: { code: 'ID.1001', details: 'Session expired' } }
  const { code, err } = await cli(['QueryZone'])
  assert.equal(code, 3)
  assert.match(err, /log in again/)
  await assert.rejects(stat(join(home, 'session')), /ENOENT/)
})

test('a server that is away, or none of ours: exit code 3', async () => {
  const away = await cli(['-H', '127.0.0.1', '-p', await closedPort(), 'QueryZone'])
  assert.equal(away.code, 3)
  assert.match(away.err, /127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)/)
  const other = createServer((_request, response) => void response.writeHead(404).end('hello'))
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  try {
    const { port: otherPort } = other.address() as AddressInfo
    const { code, err } = await cli(['-H', '127.0.0.1', '-p', String(otherPort), 'QueryZone'])
    assert.deepEqual([code, /does not describe its APIs \(404\)/.test(err)], [3, true], err)
  } finally {
    other.close()
  }
})

test('the contract is asked for again only by its tag, and help works without the server', async () => {
  await cli(['help'])
  await cli(['help'])
  assert.deepEqual(contractRequests, [undefined, '"v1"'])
  const offline = await cli(['-H', '127.0.0.1', '-p', await closedPort(), 'help'])
  assert.equal(offline.code, 0)
  assert.match(offline.err, /the list of APIs comes from the server/)
  assert.match(offline.out, /^usage: zstack-cli/)
})

test('help lists the APIs; help of one tells its parameters, and so does --help behind it', async () => {
  const general = await cli(['help'])
  assert.match(general.out, /CreateZone\s+Create a zone\./)
  const one = await cli(['help', 'CreateZone'])
  assert.match(one.out, /name\s+string\s+Name\. \[mandatory; at most 255 characters\]/)
  assert.match(one.out, /size\s+int\s+Size\. \[default 3; range 1 - 9\]/)
  assert.match(one.out, /mode\s+string\s+Mode\. \[one of A, B\]/)
  assert.match(one.out, /zstack-cli CreateZone 'name=my zone'/)
  assert.deepEqual(await cli(['CreateZone', '--help']), one)
  const query = await cli(['help', 'QueryZone'])
  assert.match(query.out, /uuid\s+string/)
  assert.match(query.out, /cluster\.name=/)
  assert.match(query.out, /zstack-cli QueryZone name=a limit=10/)
  assert.equal((await cli(['help', 'Nothing'])).code, 1)
})

test('Chinese where the environment asks for it', async () => {
  const { out } = await cli(['help'], { env: { LANG: 'zh_CN.UTF-8' } })
  assert.match(out, /^用法: zstack-cli/)
})

test('results are JSON with four spaces, or a table for people', async () => {
  await logIn()
  reply = {
    inventories: [
      { uuid: 'u1', name: '云', tags: ['a', 'b'] },
      { uuid: 'u2', name: 'z2' },
    ],
    total: 7,
    success: true,
  }
  const json = await cli(['QueryZone'])
  assert.equal(json.out, `${JSON.stringify(reply, null, 4)}\n`)
  const table = await cli(['QueryZone', '-t'])
  assert.deepEqual(table.out.split('\n'), [
    'name  uuid  tags',
    '----  ----  ----',
    '云    u1    a,b',
    'z2    u2    -',
    '',
  ])
  assert.equal(table.err, '2 of 7 shown\n')
  reply = { inventory: { uuid: 'u1', name: 'z' }, success: true }
  assert.equal((await cli(['-t', 'CreateZone', 'name=z'])).out, 'uuid  u1\nname  z\n')
})

test('without a command it reads commands line by line, goes on after mistakes, forgets passwords', async () => {
  reply = { inventory: { uuid: session }, success: true }
  const input = [
    'LogInByAccount accountName=admin password=geheim',
    'Nonsense',
    "CreateZone name='my zone'",
    'quit',
  ].join('\n')
  const { code, out, err } = await cli([], { input })
  assert.equal(code, 0)
  assert.match(err, /there is no API 'Nonsense'/)
  assert.equal(lastContent().name, 'my zone')
  assert.equal(out.match(/"success": true/g)?.length, 2)
  const history = await readFile(join(home, 'command_history'), 'utf8')
  assert.ok(!history.includes('geheim'))
  assert.match(history, /password=\nNonsense\nCreateZone/)
})
