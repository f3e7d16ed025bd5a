export {
  type Bus,
  type ClusterBus,
  type ClusterRoutes,
  createClusterBus,
  createLocalBus,
  type MessageHandler,
  type Routes,
} from './bus.ts'
export type { BusFigures, TransportFigures } from './bus-traffic.ts'
export { createEvents, defineEvent, type Events, type EventType } from './events.ts'
export { createMemoryHub, type Fate, type MemoryHub } from './memory-transport.ts'
export { probeBrokers } from './probe-rabbit.ts'
export { createRabbitTransport, type RabbitOptions } from './rabbit-transport.ts'
export { createRing, type Ring } from './ring.ts'
export { ringShare } from './ring-share.ts'
export type { Envelope, Transport } from './transport.ts'
