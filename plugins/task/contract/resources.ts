import { defineResource, optional, text } from '#contract'

/** Whose call a job is and who runs it; the rest of its row is asked from `ctx.jobs`. */
export const jobOrigin = defineResource({
  name: 'JobOrigin',
  table: 'JobVO',
  className: 'org.zstack.core.job.JobOriginInventory',
  fields: {
    uuid: text('Uuid of the job.'),
    accountUuid: optional(text('On whose behalf.')),
    nodeUuid: text('Management node that runs it.'),
  },
})
