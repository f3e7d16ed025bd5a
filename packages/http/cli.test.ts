import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { adminPassword, startThingCloud } from './testing/thing-cloud.ts'

const run = promisify(execFile)
const program = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

test('the command line tool and the legacy door understand each other', async () => {
  const home = await mkdtemp(join(tmpdir(), 'zstack-cli-'))
  const cloud = await startThingCloud()
  const cli = async (...words: string[]): Promise<Result> => {
    const env = { PATH: process.env.PATH, ZSTACK_CLI_HOME: home }
    const args = [program, '-H', '127.0.0.1', '-p', String(cloud.port), ...words]
    try {
      const { stdout, stderr } = await run(process.execPath, args, { env })
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, err: stderr }
    }
  }
  try {
    const wrong = await cli('LogInByAccount', 'accountName=admin', 'password=wrong')
    assert.deepEqual([wrong.code, /^ID\.1000 /.test(wrong.err)], [3, true])
    const login = await cli('LogInByAccount', 'accountName=admin', `password=${adminPassword}`)
    assert.equal(login.code, 0, login.err)
    const made = await cli('CreateThing', 'name=web', 'size=12', 'partNames=a,b', "labels={'k':'v'}")
    assert.equal(made.code, 0, made.err)
    const { inventory, success } = JSON.parse(made.out)
    assert.deepEqual([inventory.name, inventory.size, inventory.parts.length, success], ['web', 12, 2, true])
    const found = await cli('QueryThing', 'name~=we', 'description=null', 'size>=12', 'fields=name,size')
    assert.deepEqual(JSON.parse(found.out), { inventories: [{ name: 'web', size: 12 }], success: true })
    const broken = await cli('BreakThing', `uuid=${inventory.uuid}`)
    assert.equal(broken.code, 3)
    assert.match(broken.err, /it broke\n {2}caused by SYS\.1016 .*: the disk is <full>/)
    const bad = await cli('CreateThing', 'name=web', 'size=-1')
    assert.match(bad.err, /field\[size\] of CreateThing must be between 0 and 1000000/)
    const help = await cli('help', 'CreateThing')
    assert.match(help.out, /type\s+string\s+Type\. \[default "Small"; one of Small, Big\]/)
  } finally {
    await cloud.dispose()
    await rm(home, { recursive: true, force: true })
  }
})
