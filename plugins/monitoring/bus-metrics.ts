import type { Bus, BusFigures, TransportFigures } from '#bus'
import type { MetricSink, MetricSource } from './contract/extensions.ts'

/** What goes between this node and the others. A node that works alone has nothing to tell. */
export function busMetrics({ bus }: { readonly bus: Pick<Bus, 'figures'> }): MetricSource {
  return {
    name: 'bus',
    tell: (sink) => {
      const figures = bus.figures()
      if (figures === undefined) return
      tellCalls(sink, figures)
      const { unanswered, oldestUnansweredMs, received } = figures
      sink.gauge('node_calls_unanswered', 'Calls to other nodes not answered yet.', unanswered)
      const help = 'Since when the oldest of them is; 0 without any.'
      sink.gauge('node_calls_oldest_seconds', help, oldestUnansweredMs / 1000)
      for (const [state, number] of Object.entries(received))
        sink.gauge('node_calls_received', 'Calls of other nodes under way here.', number, { state })
      if (figures.transport !== undefined) tellBroker(sink, figures.transport)
    },
  }
}

function tellCalls(sink: MetricSink, { byMessage }: BusFigures): void {
  for (const [message, traffic] of byMessage) {
    const { calls, answered, failed, timedOut, askedAgain, roundTrip } = traffic
    sink.counter('node_calls_total', 'Calls to other nodes.', calls, { message })
    for (const [outcome, number] of Object.entries({ answered, failed, timedOut }))
      sink.counter('node_calls_ended_total', 'What became of them.', number, { message, outcome })
    const again = 'Calls sent once more because no answer had come for 15 s.'
    sink.counter('node_calls_asked_again_total', again, askedAgain, { message })
    const help = 'Calls to other nodes until their answer, work there included.'
    sink.timing('node_call_seconds', help, roundTrip, { message })
  }
}

function tellBroker(sink: MetricSink, { isConnected, isBlocked, reconnects }: TransportFigures): void {
  sink.gauge('broker_connected', '1 while a message broker is connected.', isConnected ? 1 : 0)
  sink.gauge('broker_blocked', '1 while the broker takes nothing.', isBlocked ? 1 : 0)
  sink.counter('broker_reconnects_total', 'Connections made after the first one.', reconnects)
}
