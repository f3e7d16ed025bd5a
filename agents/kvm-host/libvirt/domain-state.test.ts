import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDomainState, readLifecycleEvent } from './domain-state.ts'

test('events that change what the management believes', () => {
  assert.deepEqual(readLifecycleEvent(2, 0), { state: 'Running', reason: undefined })
  assert.deepEqual(readLifecycleEvent(2, 1), { state: 'Running', reason: 'migrated' })
  assert.deepEqual(readLifecycleEvent(3, 0), { state: 'Paused', reason: 'paused' })
  assert.deepEqual(readLifecycleEvent(3, 2), { state: 'Paused', reason: 'ioerror' })
  assert.deepEqual(readLifecycleEvent(4, 0), { state: 'Running', reason: undefined })
  assert.deepEqual(readLifecycleEvent(5, 0), { state: 'Stopped', reason: 'shutdown' })
  assert.deepEqual(readLifecycleEvent(5, 1), { state: 'Stopped', reason: 'destroyed' })
  assert.deepEqual(readLifecycleEvent(5, 3), { state: 'Stopped', reason: 'migrated' })
  assert.deepEqual(readLifecycleEvent(5, 5), { state: 'Stopped', reason: 'crashed' })
  assert.deepEqual(readLifecycleEvent(8, 0), { state: 'Crashed', reason: 'crashed' })
})

test('events that mean nothing to it', () => {
  // Defined, undefined, the last instant of a migration, the guest has finished, sleeping.
  for (const [event, detail] of [
    [0, 0],
    [1, 0],
    [3, 1],
    [6, 0],
    [7, 0],
  ] as const)
    assert.equal(readLifecycleEvent(event, detail), undefined)
})

test('states, and which of them only mean that the domain is on its way', () => {
  assert.deepEqual(readDomainState(1, 1), { state: 'Running', moving: false })
  assert.deepEqual(readDomainState(3, 1), { state: 'Paused', moving: false })
  assert.deepEqual(readDomainState(3, 2), { state: 'Paused', moving: true })
  assert.deepEqual(readDomainState(5, 0), { state: 'Stopped', moving: false })
  assert.deepEqual(readDomainState(6, 0), { state: 'Crashed', moving: false })
})
