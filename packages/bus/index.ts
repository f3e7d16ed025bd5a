export { type Bus, createLocalBus, type MessageHandler } from './bus.ts'
export { createEvents, defineEvent, type Events, type EventType } from './events.ts'
export { createRing, type Ring } from './ring.ts'
