import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqlite } from '#db'
import { describeContract } from '#http'
import { newUuid, silentLogger } from '#kernel'
import { createCloud } from '#plugin-host'
import { allPlugins } from './plugins.ts'
import { version } from './version.ts'

// A reader that has seen enough, such as head, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

/** Prints every API, inventory and configuration the loaded plugins declare, as JSON. */
process.stdout.write(`${JSON.stringify(await describe(), undefined, process.stdout.isTTY ? 2 : undefined)}\n`)

async function describe(): Promise<object> {
  const dataDir = await mkdtemp(join(tmpdir(), 'zstack-contract-'))
  try {
    const node = { uuid: newUuid(), address: 'localhost', dataDir, version }
    const db = openSqlite(join(dataDir, 'zstack.db'))
    const cloud = await createCloud({ plugins: allPlugins(), db, node, log: silentLogger })
    const { query, config } = cloud.context
    const told = { resources: query.registry.all, configs: config.definitions() }
    const described = describeContract(cloud.dispatcher.apis, told)
    await cloud.stop()
    return described
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}
