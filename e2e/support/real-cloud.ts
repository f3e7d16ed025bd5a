import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { type Client, createClient } from '#client'
import { waitFor } from '#kernel'
import { type CommandResult, runCommand } from '#lab/command.ts'
import { createLab, type Lab } from '#lab/lab.ts'
import { diff, snapshot } from '#lab/leak-check.ts'

/** A cloud of `./zstack up` of its own: other ports, lab and directories than any other on this machine. */
export interface RealCloud {
  readonly lab: Lab
  /** Logged in as admin. */
  readonly client: Client
  /** Runs `./zstack WORDS` to its end; rejects when it fails. */
  zstack(words: readonly string[], options?: { allowFailure?: boolean }): Promise<CommandResult>
  /** Runs `zstack-cli WORDS` as a child process and gives its answer; rejects with what it printed when it fails. */
  cli(...words: string[]): Promise<Json>
  /** kill -9 of the management process. */
  killManagement(): Promise<void>
  managementPid(): Promise<number>
  /** Path of its SQLite file. */
  readonly database: string
  /** What the management process logged. */
  log(): Promise<string>
}

// biome-ignore lint/suspicious/noExplicitAny: the answer of an API, of which a test reads what it expects
export type Json = Record<string, any>

const repository = join(import.meta.dirname, '../..')

/** Declares that the tests of this suite share one cloud; it is removed at the end, and the machine must be as before. */
export function withRealCloud(options: { readonly name: string; readonly hosts: number }): () => RealCloud {
  let cloud: RealCloud | undefined
  let remove = async () => {}
  before(async () => {
    const machine = await snapshot()
    const setup = await prepare(options.name)
    remove = async () => {
      await setup.run(['destroy'])
      await rm(setup.home, { recursive: true, force: true })
      await waitFor('the machine to be as it was', async () => {
        const left = diff(machine, await snapshot()).filter((line) => line.includes(setup.lab.name))
        assert.deepEqual(left, [])
        return true
      })
    }
    await setup.run(['up', '--hosts', String(options.hosts)])
    cloud = await open(setup)
  })
  after(() => remove())
  return () => cloud ?? assert.fail('the cloud did not come up')
}

interface Setup {
  readonly home: string
  readonly lab: Lab
  readonly port: number
  run(words: readonly string[], options?: { allowFailure?: boolean }): Promise<CommandResult>
}

async function prepare(name: string): Promise<Setup> {
  const [port, uiPort] = await freePorts()
  const home = await mkdtemp(join(tmpdir(), `zs-e2e-${name}-`))
  const labName = `${name}-${process.pid}`
  const env = {
    ...process.env,
    ZSTACK_LAB: labName,
    ZSTACK_HOME: home,
    ZSTACK_CLI_HOME: join(home, 'cli'),
    ZSTACK_API_PORT: String(port),
    ZSTACK_UI_PORT: String(uiPort),
  }
  const run: Setup['run'] = (words, options) =>
    runCommand([join(repository, 'zstack'), ...words], { env, ...options })
  return { home, lab: createLab({ name: labName }), port, run }
}

async function open({ home, lab, port, run }: Setup): Promise<RealCloud> {
  const client = createClient({ baseUrl: `http://127.0.0.1:${port}` })
  await client.logIn('admin', 'password')
  const directory = join(home, 'cloud')
  const managementPid = async () =>
    Number((await readFile(join(directory, 'management.pid'), 'utf8')).split(' ')[0])
  return {
    lab,
    client,
    zstack: run,
    cli: (...words) => runCli(run, port, words),
    managementPid,
    killManagement: async () => {
      const pid = await managementPid()
      process.kill(pid, 'SIGKILL')
      await waitFor('the management process to be gone', () => isGone(pid))
    },
    database: join(directory, 'data', 'zstack.db'),
    log: () => readFile(join(directory, 'management.log'), 'utf8'),
  }
}

async function runCli(run: Setup['run'], port: number, words: readonly string[]): Promise<Json> {
  const { status, stdout, stderr } = await run(['cli', '-p', String(port), ...words], { allowFailure: true })
  assert.equal(status, 0, `zstack-cli ${words.join(' ')} ended with ${status}: ${stdout}${stderr}`)
  return stdout.trim() === '' ? {} : JSON.parse(stdout)
}

async function isGone(pid: number): Promise<boolean> {
  // A zombie has ended, whoever should collect it.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return stat === undefined || stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}

/** Two ports nobody listens on. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const
  const listen = (server: (typeof servers)[number]) =>
    new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    )
  const ports: [number, number] = [await listen(servers[0]), await listen(servers[1])]
  for (const server of servers) server.close()
  return ports
}
