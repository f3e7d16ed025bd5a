import { type Timing, timingBoundsMs } from '#kernel'
import type { Labels, MetricSink } from './contract/extensions.ts'

interface Family {
  readonly head: string
  readonly lines: string[]
}

/** Collects numbers and writes them in the text format of Prometheus, version 0.0.4. */
export class Exposition implements MetricSink {
  readonly #families = new Map<string, Family>()

  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#family(name, help, 'gauge').push(`zstack_${name}${labelText(labels)} ${value}`)
  }

  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#family(name, help, 'counter').push(`zstack_${name}${labelText(labels)} ${value}`)
  }

  timing(name: string, help: string, timing: Timing, labels: Labels = {}): void {
    if (timing.count === 0) return
    const lines = this.#family(name, help, 'histogram')
    let below = 0
    for (const [i, boundMs] of timingBoundsMs.entries()) {
      below += timing.classes[i] ?? 0
      lines.push(`zstack_${name}_bucket${labelText({ ...labels, le: String(boundMs / 1000) })} ${below}`)
    }
    lines.push(`zstack_${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${timing.count}`)
    lines.push(`zstack_${name}_sum${labelText(labels)} ${timing.totalMs / 1000}`)
    lines.push(`zstack_${name}_count${labelText(labels)} ${timing.count}`)
  }

  text(): string {
    return [...this.#families.values()].map(({ head, lines }) => `${head}\n${lines.join('\n')}\n`).join('')
  }

  /** The lines of one name stand together, whoever writes them. */
  #family(name: string, help: string, type: string): string[] {
    let family = this.#families.get(name)
    if (family === undefined) {
      const head = `# HELP zstack_${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', ' ')}\n# TYPE zstack_${name} ${type}`
      family = { head, lines: [] }
      this.#families.set(name, family)
    }
    return family.lines
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
