import { defineResource, int, long, optional, type Row, secret, text, timestamp } from '#contract'

export const garbageCollector = defineResource({
  name: 'GarbageCollector',
  className: 'org.zstack.core.gc.GarbageCollectorInventory',
  hidden: ['subject', 'sealed', 'address', 'submissions'],
  fields: {
    uuid: text('Uuid of the job.', { max: 32 }),
    name: text('What is left, and where.'),
    runnerClass: text('Kind of the job: which part of the system removes it.'),
    context: text('What is to be removed, as JSON.'),
    status: text('Idle, or Processing while it is tried. A job that is done is gone.'),
    managementNodeUuid: optional(text('The management node that tried it last.', { max: 32 })),
    type: text('EventBased: tried when its host is back. CycleBased: tried from time to time.'),
    hostUuid: optional(text('The host it waits for.', { max: 32 })),
    tries: int('How often it was tried.'),
    lastError: optional(text('Why the last try failed.')),
    nextTryDate: timestamp('When it is tried again by itself, at the latest.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last tried.'),
    subject: text('What it is about: one job for each subject of a kind.'),
    sealed: optional(secret(text('What it takes to get there, encrypted.'))),
    address: optional(text('Address of the machine.')),
    submissions: long('How often it was submitted.'),
  },
  relations: {
    host: { to: 'HostInventory', column: 'hostUuid', otherColumn: 'uuid' },
  },
})
export type GarbageCollector = Row<typeof garbageCollector>

/** States of a job; `Done` is the original's, whose finished jobs stay for a while. */
export const garbageStatus = { idle: 'Idle', processing: 'Processing', done: 'Done' } as const
export const garbageTrigger = { event: 'EventBased', cycle: 'CycleBased' } as const
