import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Disposable, waitFor } from '#kernel'
import type { ServerCertificate } from './mariadb-server.ts'

/** Where a broker of a test's cluster runs. */
export interface BrokerPlace {
  readonly host: string
  /** Name of a network namespace that has the address; when absent, `host` is an address of the machine. */
  readonly namespace?: string
}

export interface RabbitmqOptions {
  readonly nodes: 1 | 3
  /** One for each node; loopback addresses of this process's own when absent. */
  readonly places?: readonly BrokerPlace[]
  /** Makes each broker listen for TLS as well, on port 5671, with a certificate for its address. */
  readonly certificateFor?: (host: string) => Promise<ServerCertificate>
}

/** Brokers of a test's own. Numbers of nodes count from 0. */
export interface Rabbitmq extends Disposable {
  readonly endpoints: readonly { readonly host: string; readonly port: number }[]
  readonly user: string
  readonly password: string
  /** Ends the broker as a power cut would; what it had written stays. */
  kill(node: number): Promise<void>
  /** The kernel still answers for it, nothing in it runs. */
  freeze(node: number): void
  thaw(node: number): void
  /** Starts a broker that was killed, on the data it left; resolves when it serves. */
  start(node: number): Promise<void>
  dispose(): Promise<void>
}

const amqpPort = 5672
const amqpsPort = 5671
const login = { user: 'zstack', password: 'test' }
let made = 0

/**
 * Starts one broker, or a cluster of three that stops serving where it is not in the majority. They end and their files go with
 * this process; when that is killed the brokers still end, the files stay. Throws what a broker says when it does not start.
 */
export async function startRabbitmq(options: RabbitmqOptions): Promise<Rabbitmq> {
  const instance = made++
  const places = options.places ?? ownPlaces(options.nodes, instance)
  const sbin = await findPrograms()
  const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  // The name ends in the pid of its maker, as all of ours in shared places.
  const dir = join(place, `zstack-rabbitmq-${instance}-${process.pid}`)
  mkdirSync(join(dir, 'home'), { recursive: true, mode: 0o700 })
  writeFileSync(join(dir, 'home/.erlang.cookie'), 'TESTS', { mode: 0o400 })
  const names = places.map(({ host }, node) => `zs${node}@${host}`)
  const certificates = await Promise.all(places.map(({ host }) => options.certificateFor?.(host)))
  const brokers = places.map(
    (at, node) => new Broker({ dir, node, at, names, sbin, instance, certificate: certificates[node] }),
  )
  const epmds = startPortMappers(dir, places, instance)
  const clean = () => {
    for (const child of epmds) child.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
  }
  const endAll = () => {
    for (const broker of brokers) broker.signal('SIGKILL')
    clean()
  }
  process.once('exit', endAll)
  const dispose = async () => {
    await Promise.all(brokers.map((broker) => broker.kill()))
    clean()
    process.off('exit', endAll)
  }
  const at = (node: number): Broker => {
    const broker = brokers[node]
    if (broker === undefined)
      throw new Error(`there are ${places.length} brokers, counted from 0; ${node} is none`)
    return broker
  }
  try {
    await Promise.all(brokers.map((broker) => broker.start()))
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    endpoints: places.map(({ host }) => ({ host, port: amqpPort })),
    ...login,
    kill: (node) => at(node).kill(),
    freeze: (node) => at(node).signal('SIGSTOP'),
    thaw: (node) => at(node).signal('SIGCONT'),
    start: (node) => at(node).start(),
    dispose,
  }
}

/** The directory of the release; the programs in /usr/sbin change user and forget their environment. */
async function findPrograms(): Promise<string> {
  const releases = '/usr/lib/rabbitmq/lib'
  const names = await readdir(releases).catch(() => [])
  const release = names.find((name) => name.startsWith('rabbitmq_server-'))
  if (release === undefined)
    throw new Error('no RabbitMQ can be made here; is the package rabbitmq-server installed?')
  return join(releases, release, 'sbin')
}

/** No two processes that live at the same time have the same, so no address is asked for and none is raced for. */
function ownPlaces(nodes: number, instance: number): BrokerPlace[] {
  const network = `127.${100 + ((process.pid >> 8) & 127)}.${process.pid & 255}`
  return Array.from({ length: nodes }, (_, node) => ({ host: `${network}.${instance * 10 + node + 1}` }))
}

/** The kernel ends it when we are gone, however we went. */
function spawnBound(
  at: BrokerPlace,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  log: number,
): ChildProcess {
  const enter = at.namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${at.namespace}`, '--']
  const args = ['--pdeathsig', 'KILL', ...enter, ...command]
  const child = spawn('setpriv', args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
    // The kernel shares processors among sessions: one that has a network of its own is a machine of its own.
    detached: at.namespace !== undefined,
  })
  child.unref()
  return child
}

/** What tells brokers each other's ports: one for all of a namespace. Started by a broker it would outlive everything. */
function startPortMappers(dir: string, places: readonly BrokerPlace[], instance: number): ChildProcess[] {
  const namespaces = new Map(places.map((at) => [at.namespace, at]))
  return [...namespaces.values()].map((at) => {
    const log = openSync(join(dir, 'epmd.log'), 'a')
    const hosts = places.filter(({ namespace }) => namespace === at.namespace).map(({ host }) => host)
    const env = { ...portMapper(at, instance), ERL_EPMD_ADDRESS: hosts.join() }
    const child = spawnBound(at, ['epmd'], env, log)
    closeSync(log)
    return child
  })
}

function portMapper({ namespace }: BrokerPlace, instance: number): NodeJS.ProcessEnv {
  // On the machine it takes 127.0.0.1 too, whatever addresses it is given.
  const port = namespace === undefined ? 10_000 + ((process.pid * 2 + instance) % 22_000) : 4369
  return { ERL_EPMD_PORT: String(port) }
}

interface BrokerOptions {
  readonly dir: string
  readonly node: number
  readonly at: BrokerPlace
  /** Of all nodes of the cluster. */
  readonly names: readonly string[]
  readonly sbin: string
  readonly instance: number
  readonly certificate: ServerCertificate | undefined
}

class Broker {
  readonly #options: BrokerOptions
  readonly #dir: string
  readonly #env: NodeJS.ProcessEnv
  #starts = 0
  #child: ChildProcess | undefined

  constructor(options: BrokerOptions) {
    const { dir, at, names, node, instance, certificate } = options
    this.#options = options
    this.#dir = join(dir, String(node))
    mkdirSync(this.#dir)
    writeFileSync(join(this.#dir, 'plugins'), '[].')
    writeFileSync(join(this.#dir, 'rabbitmq.conf'), configuration(at, names, certificate))
    writeFileSync(join(this.#dir, 'advanced.config'), '[].')
    this.#env = { ...environment(this.#dir, options), ...portMapper(at, instance), HOME: join(dir, 'home') }
  }

  async start(): Promise<void> {
    this.#starts += 1
    const path = join(this.#dir, `${this.#starts}.log`)
    const output = openSync(join(this.#dir, 'output'), 'a')
    const child = spawnBound(
      this.#options.at,
      [join(this.#options.sbin, 'rabbitmq-server')],
      { ...this.#env, RABBITMQ_LOGS: path },
      output,
    )
    closeSync(output)
    this.#child = child
    const said = () => (existsSync(path) ? readFileSync(path, 'utf8') : '')
    const isDecided = () => hasEnded(child) || said().includes('Server startup complete')
    await waitFor('a broker starts or gives up', isDecided, { intervalMs: 50, timeoutMs: 120_000 })
    if (!hasEnded(child)) return
    const text = `${said()}\n${readFileSync(join(this.#dir, 'output'), 'utf8')}`
    throw new Error(`the broker on ${this.#options.at.host} ended: ${text.slice(-2000)}`)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || hasEnded(child)) return
    const exited = once(child, 'exit')
    child.ref()
    child.kill('SIGKILL')
    await exited
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

function configuration(
  at: BrokerPlace,
  names: readonly string[],
  certificate: ServerCertificate | undefined,
): string {
  const secure =
    certificate === undefined
      ? []
      : [
          `listeners.ssl.1 = ${at.host}:${amqpsPort}`,
          `ssl_options.certfile = ${certificate.certificateFile}`,
          `ssl_options.keyfile = ${certificate.keyFile}`,
        ]
  const alone = [
    `listeners.tcp.1 = ${at.host}:${amqpPort}`,
    'loopback_users = none',
    `default_user = ${login.user}`,
    `default_pass = ${login.password}`,
    'vm_memory_high_watermark.absolute = 512MB',
    'disk_free_limit.absolute = 50MB',
    'log.file.level = info',
    'cluster_partition_handling = pause_minority',
  ]
  const peers = names.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`)
  const together = ['cluster_formation.peer_discovery_backend = classic_config', ...peers]
  return `${[...alone, ...secure, ...(names.length > 1 ? together : [])].join('\n')}\n`
}

/** A broker refuses to start when anybody on the machine uses the port, also on another address. */
function distributionPort({ namespace }: BrokerPlace, node: number, instance: number): number {
  return namespace === undefined ? 12_000 + ((process.pid * 8 + instance * 3 + node) % 19_990) : 25_672 + node
}

function environment(dir: string, { node, at, names, instance }: BrokerOptions): NodeJS.ProcessEnv {
  return {
    // Makes the shell that prepares a broker become it, so that what ends with us is the broker.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_BASE: dir,
    RABBITMQ_NODENAME: names[node],
    // Lets an address be the host in the name of a node.
    RABBITMQ_USE_LONGNAME: 'true',
    RABBITMQ_DIST_PORT: String(distributionPort(at, node, instance)),
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: dir,
    RABBITMQ_PID_FILE: join(dir, 'pid'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'plugins'),
    RABBITMQ_PLUGINS_EXPAND_DIR: join(dir, 'expanded'),
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, 'advanced.config'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'generated'),
    // Peers that fall silent are given up after 5 s at most.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {${at.host.replaceAll('.', ',')}} -kernel net_ticktime 4`,
    RABBITMQ_SCHEDULER_BIND_TYPE: 'u',
    RABBITMQ_SERVER_START_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
    RABBITMQ_IO_THREAD_POOL_SIZE: '8',
    ERL_MAX_PORTS: '4096',
    ERL_CRASH_DUMP: '/dev/null',
  }
}
