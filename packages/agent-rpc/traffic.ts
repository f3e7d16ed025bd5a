import { Timings } from '#kernel'

/** A command that was sent and is not answered yet. */
export interface CallUnderWay {
  /** Name of the command. */
  readonly call: string
  /** Address of the agent. */
  readonly where: string
  /** The API call it is part of. */
  readonly taskId: string | undefined
  /** By the monotonic clock. */
  readonly sentAtMs: number
}

/** All commands of this process to agents, whatever client sent them. */
class AgentTraffic {
  readonly #underWay = new Set<CallUnderWay>()
  /** By the name of the command. */
  readonly timings = new Timings()

  /** Runs `work`, which sends the command and waits for its answer. */
  async follow<T>(what: Omit<CallUnderWay, 'sentAtMs'>, work: () => Promise<T>): Promise<T> {
    const call: CallUnderWay = { ...what, sentAtMs: performance.now() }
    this.#underWay.add(call)
    let hasFailed = true
    try {
      const output = await work()
      hasFailed = false
      return output
    } finally {
      this.#underWay.delete(call)
      this.timings.of(call.call).add(performance.now() - call.sentAtMs, hasFailed)
    }
  }

  /** Oldest first; those of one API call when `taskId` is given. */
  underWay(taskId?: string): CallUnderWay[] {
    return [...this.#underWay].filter((call) => taskId === undefined || call.taskId === taskId)
  }
}

/** One for the process: what a node shows of itself includes every client it has. */
export const agentTraffic = new AgentTraffic()
