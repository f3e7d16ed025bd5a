import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from './run-command.ts'

test('a failure says the command, the exit code and what was written', async () => {
  const failing = runCommand(['ls', '/no/such/place'])
  await assert.rejects(failing, /SYS\.1006 `ls \/no\/such\/place` exited with 2: .*No such file/)
  await assert.rejects(runCommand(['/no/such/program']), /could not be run \(ENOENT\)/)
  await assert.rejects(runCommand(['sleep', '60'], { timeoutMs: 30 }), /took longer than 30 ms/)
})

test('exit codes that are answers are answers', async () => {
  assert.equal((await runCommand(['false'], { okCodes: [1] })).code, 1)
  await assert.rejects(runCommand(['false'], { okCodes: [2] }), /exited with 1/)
})

test('input reaches the command, unread input does no harm', async () => {
  assert.equal((await runCommand(['cat'], { input: 'text' })).stdout, 'text')
  assert.equal((await runCommand(['true'], { input: 'x'.repeat(1_000_000) })).code, 0)
})
