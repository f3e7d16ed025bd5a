/**
 * The conformance suites against the real agents, deployed to a virtual host and reached over mutual TLS. The tests themselves run in
 * the lab's network, where the management is: this process only makes the lab around them, and hands its own arguments on.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { createLab } from '#lab/lab.ts'

const lab = createLab({ name: `conform-${process.pid}`, nat: false })
try {
  await lab.up({ hosts: 1 })
  const suites = join(import.meta.dirname, 'real-agents/conformance.ts')
  const env = { ...process.env, CONFORMANCE_LAB: lab.name }
  const child = lab.spawnInSwitch([process.execPath, ...process.execArgv, suites], { stdio: 'inherit', env })
  const [status] = await once(child, 'exit')
  process.exitCode = status ?? 1
} finally {
  await lab.down()
}
