import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AgentClient } from '#agent-rpc'
import { clusterErrors } from '#kernel'
import { refused, testTimeout } from './kvm-host-fixture.ts'

/** An agent, something to change on it, and a way to see whether that happened. */
export interface EpochFixture {
  clientAt(epoch: number): AgentClient
  /** Makes a thing on the agent's machine; a repeat is harmless. */
  change(client: AgentClient): Promise<unknown>
  /** Removes the thing and tells whether it was there. */
  takeBack(client: AgentClient): Promise<boolean>
}

/** Comes last in a suite: from then on clients of epoch 0 are shut out. */
export function declareEpochTests(getFixture: () => EpochFixture): void {
  describe('epoch of the cluster', testTimeout, () => {
    it('runs nothing of a management node that lost its place, and serves the others', async () => {
      const { clientAt, change, takeBack } = getFixture()
      await change(clientAt(0))
      assert.equal(await takeBack(clientAt(7)), true)
      for (const epoch of [0, 6]) {
        const error = await refused(
          `a call of epoch ${epoch}`,
          change(clientAt(epoch)),
          clusterErrors.staleEpoch.code,
        )
        assert.match(error.details, new RegExp(`epoch ${epoch} .*epoch 7`))
      }
      assert.equal(await takeBack(clientAt(7)), false, 'a refused call did something')
      await change(clientAt(7))
      assert.equal(await takeBack(clientAt(8)), true)
      await refused('a call of the epoch before', takeBack(clientAt(7)), clusterErrors.staleEpoch.code)
    })
  })
}
