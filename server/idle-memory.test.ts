import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '#kernel'
import { returnIdleMemory } from './idle-memory.ts'

const MIB = 2 ** 20

test('an idle process gives back the memory of a burst', async () => {
  let burst: number[][] | undefined = Array.from({ length: 2_000 }, (_, i) => Array(10_000).fill(i + 0.5))
  const full = process.memoryUsage().heapTotal
  assert.ok(full > burst.length * 10_000 * 8)
  burst = undefined
  const idle = returnIdleMemory({ intervalMs: 50, busyShare: 0.9 })
  try {
    await waitFor('memory to go back', () => process.memoryUsage().heapTotal < full - 100 * MIB)
  } finally {
    await idle.dispose()
  }
})
