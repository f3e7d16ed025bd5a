import { Connection, type Consumer, type Publisher } from 'rabbitmq-client'
import { CloudError, describeError, type Logger, sysErrors } from '#kernel'
import type { Envelope, Transport } from './transport.ts'

export interface RabbitOptions {
  /** `host:port` of the brokers, tried in this order. */
  readonly brokers: readonly string[]
  readonly user: string
  readonly password: string
  readonly virtualHost: string
  readonly tls?: boolean
}

const NEWS = 'zstack.news'
// Deliveries that are not settled yet; a call counts only until it is accepted.
const PREFETCH = 200
const RETRY_MS = { low: 100, high: 2_000 }

export const queueOfNode = (node: string): string => `zstack.node.${node}`

/**
 * One durable quorum queue for each node, and one exchange for what concerns all. Publishing is confirmed by the brokers; when a
 * broker goes, the next one is connected to and what was not confirmed is published again.
 */
export function createRabbitTransport(node: string, options: RabbitOptions, log: Logger): Transport {
  const connection = connect(options)
  let problem: string | undefined = 'not connected to a message broker yet'
  let consumer: Consumer | undefined
  connection.on('connection', () => {
    problem = undefined
    log.info({ brokers: options.brokers }, 'connected to a message broker')
  })
  connection.on('error', (error) => {
    problem = describeError(error)
    log.warn({ err: problem }, 'the connection to a message broker broke')
  })
  const queue = queueOfNode(node)
  const publisher = createPublisher(connection)
  return {
    open: async (receive) => {
      await declare(connection, queue, options)
      consumer = connection.createConsumer(
        { queue, queueOptions: nodeQueue(queue), qos: { prefetchCount: PREFETCH } },
        (message) => receive(message.body as Envelope),
      )
      consumer.on('error', (error) => log.warn({ err: describeError(error) }, 'receiving was interrupted'))
    },
    send: (to, envelope) =>
      publisher.send({ routingKey: queueOfNode(to), durable: true, mandatory: false }, envelope),
    broadcast: (envelope) => publisher.send({ exchange: NEWS, durable: true }, envelope),
    forget: async (gone) => {
      await connection.queueDelete({ queue: queueOfNode(gone) })
    },
    problem: () => problem,
    dispose: async () => {
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
    tls: options.tls ?? false,
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

function createPublisher(connection: Connection): Publisher {
  return connection.createPublisher({ confirm: true, maxAttempts: 60 })
}

function nodeQueue(queue: string) {
  return { queue, durable: true, arguments: { 'x-queue-type': 'quorum' as const } }
}

/** What was stored for an earlier run of this node is dropped: its callers were told that it died. */
async function declare(connection: Connection, queue: string, options: RabbitOptions): Promise<void> {
  try {
    await connection.exchangeDeclare({ exchange: NEWS, type: 'fanout', durable: true })
    await connection.queueDeclare(nodeQueue(queue))
    await connection.queueBind({ exchange: NEWS, queue })
    await connection.queuePurge({ queue })
  } catch (cause) {
    const details = `no message broker of ${options.brokers.join(', ')} can be used: ${describeError(cause)}`
    throw new CloudError(sysErrors.ioError, details, { cause })
  }
}
