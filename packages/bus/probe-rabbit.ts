import { connect } from 'node:net'
import { Connection } from 'rabbitmq-client'
import { describeError } from '#kernel'
import { type RabbitOptions, tlsOf } from './rabbit-transport.ts'

const CONNECT_MS = 3_000
const PROTOCOL = Buffer.from('AMQP\0\0\x09\x01', 'latin1')
const METHOD_FRAME = Buffer.from([1, 0, 0])

/** Why no broker can be used, with what each said, or undefined when one can. Asks each of them once. */
export async function probeBrokers(options: RabbitOptions): Promise<string | undefined> {
  const reasons = await Promise.all(options.brokers.map((broker) => refusalOf(broker, options)))
  if (reasons.includes(undefined)) return undefined
  const told = options.brokers.map((broker, i) => `${broker}: ${reasons[i]}`)
  return `no message broker can be used (${told.join('; ')})`
}

async function refusalOf(broker: string, options: RabbitOptions): Promise<string | undefined> {
  // The client library takes what another program says there for a frame, and fails by a bug.
  const stranger = options.tls === true ? undefined : await greet(broker)
  if (stranger !== undefined) return stranger
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const connection = new Connection({
    hosts: [broker],
    username: options.user,
    password: options.password,
    vhost: options.virtualHost,
    tls: tlsOf(options),
    connectionTimeout: CONNECT_MS,
  })
  connection.on('connection', () => resolve(undefined))
  connection.on('error', (error) => resolve(describeError(error).replace(/^undefined: /, '')))
  const reason = await promise
  await connection.close().catch(() => undefined) // one that never was cannot say goodbye
  return reason
}

/** Why the program that listens there is no AMQP 0-9-1 broker. */
function greet(broker: string): Promise<string | undefined> {
  const at = broker.lastIndexOf(':')
  const socket = connect({ host: broker.slice(0, at), port: Number(broker.slice(at + 1)) })
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const noBroker = 'what listens there is no message broker'
  socket.setTimeout(CONNECT_MS, () => resolve(`no answer within ${CONNECT_MS} ms`))
  socket.once('error', (error) => resolve(error.message))
  socket.once('close', () => resolve(noBroker))
  socket.once('connect', () => socket.write(PROTOCOL))
  // A broker begins with a method frame on channel 0.
  socket.once('data', (chunk: Buffer) =>
    resolve(chunk.subarray(0, 3).equals(METHOD_FRAME) ? undefined : noBroker),
  )
  return promise.finally(() => socket.destroy())
}
