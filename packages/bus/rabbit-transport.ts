import { setTimeout as pause } from 'node:timers/promises'
import { Connection, type Consumer } from 'rabbitmq-client'
import { CloudError, describeError, type Logger, sysErrors } from '#kernel'
import { propertiesOf, withTimeGoneBy } from './rabbit-properties.ts'
import type { Envelope, Transport } from './transport.ts'

export interface RabbitOptions {
  /** `host:port` of the brokers, tried in this order. */
  readonly brokers: readonly string[]
  readonly user: string
  readonly password: string
  readonly virtualHost: string
  readonly tls?: boolean
  /** PEM of who vouches for the brokers, with `tls`; those of the system when absent. */
  readonly certificateAuthority?: string
  /** How long the brokers keep what is sent to a node that does not listen; an hour when absent. */
  readonly keepMs?: number
}

const NEWS = 'zstack.news'
const news = { exchange: NEWS, type: 'fanout', durable: true } as const
// Deliveries that are not settled yet; a call counts only until it is accepted.
const PREFETCH = 200
// What cannot be published for so long is given back to the bus, which asks again.
const PATIENCE_MS = 30_000
const KEEP_MS = 3_600_000
const RETRY_MS = { low: 100, high: 2_000 }

interface Address {
  readonly exchange?: string
  readonly routingKey?: string
  readonly durable: true
}

export const queueOfNode = (node: string): string => `zstack.inbox.${node}`

/**
 * One durable quorum queue for each node, and one exchange for what concerns all. Publishing is confirmed by the brokers; when a
 * broker goes, the next one is connected to and what was not confirmed is published again.
 * Nobody removes the queue of a node: it may be back by then, and a node whose broker stands still meanwhile is not told and hears
 * nothing for ever. The brokers remove it themselves when nobody has listened for long.
 */
export function createRabbitTransport(node: string, options: RabbitOptions, log: Logger): Transport {
  const connection = connect(options)
  let consumer: Consumer | undefined
  let connections = 0
  let isBlocked = false
  connection.on('connection', () => {
    connections += 1
    isBlocked = false
    log.info({ brokers: options.brokers }, 'connected to a message broker')
  })
  connection.on('connection.blocked', (reason) => {
    isBlocked = true
    log.warn({ reason }, 'the message broker takes nothing at the moment')
  })
  connection.on('connection.unblocked', () => {
    isBlocked = false
    log.info({}, 'the message broker takes messages again')
  })
  connection.on('error', (error) => {
    log.warn({ err: describeError(error) }, 'the connection to a message broker broke')
  })
  const queue = queueOfNode(node)
  let isClosed = false
  const open = () => connection.createPublisher({ confirm: true, maxAttempts: 1 })
  let publisher = open()
  const publish = async (to: Address, envelope: Envelope) => {
    const begunAtMs = performance.now()
    for (let tries = 1; ; tries += 1) {
      const used = publisher
      const sent = withTimeGoneBy(envelope, performance.now() - begunAtMs)
      // Nobody waits for it any more.
      if (sent === undefined) return
      try {
        return await used.send({ ...to, ...propertiesOf(sent) }, sent)
      } catch (error) {
        if (isClosed || performance.now() - begunAtMs > PATIENCE_MS) throw error
        await pause(Math.min(RETRY_MS.high, RETRY_MS.low * tries), undefined, { ref: false })
        // A broker refuses for good on a channel that first met a queue whose leader had just died; a new channel finds the new one.
        if (used !== publisher || isClosed) continue
        publisher = open()
        // What is still unconfirmed on it is published again.
        used.close().catch(() => undefined)
      }
    }
  }
  return {
    open: async (receive) => {
      await declare(connection, queue, options)
      consumer = connection.createConsumer(
        // All of it again after every interruption: an operator may have removed the queue.
        {
          queue,
          queueOptions: nodeQueue(queue, options),
          exchanges: [news],
          queueBindings: [{ exchange: NEWS, queue }],
          qos: { prefetchCount: PREFETCH },
        },
        (message) => receive(message.body as Envelope),
      )
      consumer.on('error', (error) => log.warn({ err: describeError(error) }, 'receiving was interrupted'))
    },
    send: (to, envelope) => publish({ routingKey: queueOfNode(to), durable: true }, envelope),
    broadcast: (envelope) => publish({ exchange: NEWS, durable: true }, envelope),
    figures: () => ({
      // When blocked it is not ready, yet connected.
      isConnected: connection.ready || isBlocked,
      isBlocked,
      reconnects: Math.max(0, connections - 1),
    }),
    dispose: async () => {
      isClosed = true
      await consumer?.close()
      await publisher.close()
      await connection.close()
    },
  }
}

function connect(options: RabbitOptions): Connection {
  return new Connection({
    hosts: [...options.brokers],
    username: options.user,
    password: options.password,
    vhost: options.virtualHost,
    tls: tlsOf(options),
    // Small messages that wait for an answer: with Nagle's algorithm each waits for a timer of the other side.
    noDelay: true,
    heartbeat: 5,
    connectionTimeout: 3_000,
    acquireTimeout: 20_000,
    retryLow: RETRY_MS.low,
    retryHigh: RETRY_MS.high,
    connectionName: 'zstack management node',
  })
}

/** What the client library takes; certificates are checked for the name or address of each broker. */
export function tlsOf({ tls, certificateAuthority: ca }: RabbitOptions): boolean | { readonly ca: string } {
  if (tls !== true) return false
  return ca === undefined ? true : { ca }
}

function nodeQueue(queue: string, { keepMs = KEEP_MS }: RabbitOptions) {
  return { queue, durable: true, arguments: { 'x-queue-type': 'quorum' as const, 'x-expires': keepMs } }
}

/** What was stored for an earlier run of this node is dropped: its callers were told that it died. */
async function declare(connection: Connection, queue: string, options: RabbitOptions): Promise<void> {
  const begunAtMs = performance.now()
  for (;;) {
    try {
      await connection.exchangeDeclare(news)
      await connection.queueDeclare(nodeQueue(queue, options))
      await connection.queueBind({ exchange: NEWS, queue })
      await connection.queuePurge({ queue })
      return
    } catch (cause) {
      // A broker that goes away meanwhile is one of several; the connection goes on to the next.
      if (wasCutOff(cause) && performance.now() - begunAtMs < PATIENCE_MS) continue
      const details = `no message broker of ${options.brokers.join(', ')} can be used: ${describeError(cause)}`
      throw new CloudError(sysErrors.ioError, details, { cause })
    }
  }
}

/** True when a connection that worked has ended: its broker died, or said that it shuts down. */
function wasCutOff(error: unknown): boolean {
  const { code } = error as { readonly code?: string }
  return code === 'CONN_CLOSE' || code === 'CONNECTION_FORCED'
}
