import { agentTraffic } from '#agent-rpc'
import { ringShare } from '#bus'
import { count } from '#db'
import type { PluginContext } from '#plugin-host'
import { host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { workflow, workflowState } from '#plugins/workflow/contract/resources.ts'
import { admissionMetrics } from './admission-metrics.ts'
import { busMetrics } from './bus-metrics.ts'
import type { MetricSource } from './contract/extensions.ts'
import { queueMetrics } from './queue-metrics.ts'

/** What the node is doing: each part by itself, so that a database that does not answer hides only its own. */
export function workMetrics(ctx: PluginContext): readonly MetricSource[] {
  return [
    queueMetrics(ctx),
    admissionMetrics(ctx),
    busMetrics(ctx),
    callMetrics(ctx),
    clusterMetrics(ctx),
    databaseMetrics(ctx),
    workflowMetrics(ctx),
    hostMetrics(ctx),
  ]
}

function callMetrics({ meters }: PluginContext): MetricSource {
  return {
    name: 'calls',
    tell: (sink) => {
      const help = 'API calls by outcome, from acceptance to the end.'
      for (const outcome of ['succeeded', 'failed'] as const)
        for (const [api, timing] of meters[outcome].byName)
          sink.timing('api_call_seconds', help, timing, { api, outcome })
      for (const [api, timing] of meters.refused.byName)
        sink.counter('api_refused_total', 'API calls refused before they ran.', timing.count, { api })
      for (const [message, timing] of meters.messages.byName) {
        if (timing.count === 0) continue
        sink.timing('bus_call_seconds', 'Messages handled, without waiting.', timing, { message })
        sink.counter('bus_call_failures_total', 'Messages that failed.', timing.failures, { message })
      }
      for (const [call, timing] of agentTraffic.timings.byName) {
        sink.timing('agent_call_seconds', 'Commands to agents until their answer.', timing, { call })
        sink.counter('agent_call_failures_total', 'Commands that failed.', timing.failures, { call })
      }
      const underWay = agentTraffic.underWay().length
      sink.gauge('agent_calls_under_way', 'Commands to agents not answered yet.', underWay)
    },
  }
}

function clusterMetrics({ cluster, node }: PluginContext): MetricSource {
  return {
    name: 'cluster',
    tell: (sink) => {
      sink.gauge('cluster_members', 'Management nodes this node counts with.', cluster.members.length)
      sink.gauge('cluster_epoch', 'Rises whenever a node joins, leaves or dies.', cluster.epoch)
      const share = ringShare(cluster.ring, node.uuid) / 100
      sink.gauge('cluster_share_ratio', 'Part of all resources this node looks after.', share)
    },
  }
}

function databaseMetrics({ db: { stats } }: PluginContext): MetricSource {
  return {
    name: 'database',
    tell: (sink) => {
      sink.counter('database_statements_total', 'Statements run; with MariaDB round trips.', stats.statements)
      const { asked, ended, groups } = stats.writes
      sink.counter('database_writes_total', 'Writes that have ended.', ended)
      sink.gauge('database_writes_waiting', 'Writes that have not ended.', asked - ended)
      const help =
        'Commit groups, from their begin to the end of their commit; writes per group: writes / count.'
      sink.timing('database_commit_seconds', help, groups)
    },
  }
}

function workflowMetrics(ctx: PluginContext): MetricSource {
  return {
    name: 'workflows',
    tell: async (sink) => {
      const nodeUuid = ctx.node.uuid
      for (const state of Object.values(workflowState)) {
        const number = await count(ctx.db, workflow, { state, nodeUuid })
        sink.gauge('workflows', 'Workflows of this node that have not ended.', number, { state })
      }
    },
  }
}

function hostMetrics(ctx: PluginContext): MetricSource {
  return {
    name: 'hosts',
    tell: async (sink) => {
      for (const status of Object.values(hostStatus))
        sink.gauge('hosts', 'Hosts by status.', await count(ctx.db, host, { status }), { status })
    },
  }
}
