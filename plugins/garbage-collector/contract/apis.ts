import { defineApi, defineQuery, ref } from '#contract'
import { garbageCollector } from './resources.ts'

export const queryGCJob = defineQuery({
  name: 'QueryGCJob',
  message: 'org.zstack.core.gc.APIQueryGCJobMsg',
  path: '/gc-jobs',
  resource: garbageCollector,
  summary: 'List what is still to be removed from hosts and storages that were away.',
})

export const triggerGCJob = defineApi({
  name: 'TriggerGCJob',
  message: 'org.zstack.core.gc.APITriggerGCJobMsg',
  method: 'PUT',
  path: '/gc-jobs/{uuid}/actions',
  parameterName: 'triggerGCJob',
  summary:
    'Try a job at once. Fails with the reason when what it removes is still there; the job stays then.',
  input: {
    uuid: ref('GarbageCollectorVO', 'Uuid of the job.'),
  },
})

export const deleteGCJob = defineApi({
  name: 'DeleteGCJob',
  message: 'org.zstack.core.gc.APIDeleteGCJobMsg',
  method: 'DELETE',
  path: '/gc-jobs/{uuid}',
  summary: 'Forget a job. What it would have removed stays where it is.',
  input: {
    uuid: ref('GarbageCollectorVO', 'Uuid of the job.', { successIfMissing: true }),
  },
})
