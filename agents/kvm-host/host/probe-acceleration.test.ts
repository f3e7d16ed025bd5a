import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BOOT_SECTOR_EXIT, buildBootSector } from './boot-sector.ts'
import { probeAcceleration, probeArguments } from './probe-acceleration.ts'

const QEMU = '/usr/bin/qemu-system-x86_64'

/** A stand-in for QEMU that runs the given shell lines. */
function setUp(t: TestContext, lines: string) {
  const directory = mkdtempSync(join(tmpdir(), 'probe-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const qemu = join(directory, 'qemu')
  writeFileSync(qemu, `#!/bin/sh\n${lines}\n`)
  chmodSync(qemu, 0o755)
  const runDirectory = join(directory, 'run')
  return { qemu, runDirectory, kvmDevice: '/dev/null', directory }
}

test('a guest that ran proves kvm; the answer is remembered', async (t) => {
  const options = setUp(t, `echo -n Z; exit ${BOOT_SECTOR_EXIT}`)
  const answer = { acceleration: 'kvm', reason: 'a test guest ran under kvm' }
  assert.deepEqual(await probeAcceleration(options), answer)
  assert.deepEqual(await probeAcceleration({ ...options, qemu: '/nonexistent' }), answer)
  assert.deepEqual(readdirSync(options.runDirectory), ['acceleration.json'])
})

test('an answer of an earlier boot or a damaged one is found out again', async (t) => {
  const options = setUp(t, 'exit 1')
  await probeAcceleration(options)
  const file = join(options.runDirectory, 'acceleration.json')
  for (const text of ['{"bootId":"old","acceleration":"kvm","reason":""}', '{']) {
    writeFileSync(file, text)
    assert.equal((await probeAcceleration(options)).acceleration, 'tcg')
  }
})

test('the exit code alone or the letter alone prove nothing', async (t) => {
  for (const lines of [`exit ${BOOT_SECTOR_EXIT}`, 'echo Z']) {
    const { acceleration } = await probeAcceleration(setUp(t, lines))
    assert.equal(acceleration, 'tcg')
  }
})

test('a guest that dies is quoted', async (t) => {
  const { reason } = await probeAcceleration(setUp(t, 'echo failed to set MSR >&2; kill -ABRT $$'))
  assert.equal(reason, 'a test guest under kvm ended with SIGABRT: failed to set MSR')
})

test('a guest that hangs is ended', async (t) => {
  const { reason } = await probeAcceleration({ ...setUp(t, 'exec sleep 60'), timeoutMs: 50 })
  assert.equal(reason, 'a test guest under kvm did not end within 50 ms')
})

test('without the device nothing is tried; without QEMU it is said', async (t) => {
  const options = setUp(t, 'exit 1')
  const absent = await probeAcceleration({ ...options, kvmDevice: '/nonexistent/kvm' })
  assert.deepEqual(absent, { acceleration: 'tcg', reason: '/nonexistent/kvm does not exist' })
  const other = setUp(t, '')
  const { reason } = await probeAcceleration({ ...other, qemu: '/nonexistent/qemu' })
  assert.match(reason, /could not be started: spawn \/nonexistent\/qemu ENOENT/)
})

const skip = existsSync(QEMU) ? false : `${QEMU} is not installed`
test('the boot sector does what the probe waits for, in an emulated machine', { skip }, async (t) => {
  const { directory } = setUp(t, '')
  const disk = join(directory, 'boot-sector')
  writeFileSync(disk, buildBootSector())
  const argv = probeArguments(disk).map((word) =>
    word === 'pc,accel=kvm' ? 'pc,accel=tcg' : word === 'host' ? 'qemu64' : word,
  )
  const result = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(QEMU, argv, { timeout: 20_000 }, (error, stdout) => resolve({ code: error?.code, stdout }))
  })
  assert.deepEqual(result, { code: BOOT_SECTOR_EXIT, stdout: 'Z' })
})
