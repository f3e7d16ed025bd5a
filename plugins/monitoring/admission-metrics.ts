import type { PluginContext } from '#plugin-host'
import type { MetricSource } from './contract/extensions.ts'

/** Whether API calls are let in as they come. */
export function admissionMetrics({ admission }: Pick<PluginContext, 'admission'>): MetricSource {
  return {
    name: 'admission',
    tell: (sink) => {
      const { unfinished, running, slow, waiting, oldestWaitMs, refused } = admission.figures
      sink.gauge('admission_unfinished', 'API jobs accepted and not ended.', unfinished)
      for (const [state, number] of Object.entries({ running, slow, waiting }))
        sink.gauge('admission_jobs', 'API jobs by what they do; slow ones hold no slot.', number, { state })
      sink.gauge('admission_oldest_wait_seconds', 'The longest wait for a slot.', oldestWaitMs / 1000)
      for (const [limit, number] of refused)
        sink.counter('admission_refused_total', 'API jobs refused at a limit.', number, { limit })
    },
  }
}
