import { definePlugin } from '#plugin-host'
import { handleAddresses } from './address-handlers.ts'
import { AddressFinder } from './address-store.ts'
import { giveBack, takeAddress } from './allocate.ts'
import { queryL3Network } from './contract/apis.ts'
import { queryIpRange } from './contract/ip-range-apis.ts'
import { allocateIp, allocateServiceIp, releaseIp } from './contract/messages.ts'
import { ipRange, l3Network, l3NetworkDns, usedIp } from './contract/resources.ts'
import { deleteNetworkWorkflow } from './delete-network.ts'
import { l3NetworkMigrations } from './migrations.ts'
import { handleNetworks } from './network-handlers.ts'
import { handleRanges } from './range-handlers.ts'

export const l3NetworkPlugin = definePlugin({
  name: 'l3-network',
  needs: ['l2-network', 'tag'],
  resources: [l3Network, l3NetworkDns, ipRange, usedIp],
  migrations: l3NetworkMigrations,
  setup(ctx) {
    const finder = new AddressFinder()
    handleNetworks(ctx, ctx.workflow(deleteNetworkWorkflow(ctx, finder)))
    handleRanges(ctx, finder)
    handleAddresses(ctx)
    ctx.queries(queryL3Network, queryIpRange)
    ctx.serve(allocateIp, ({ l3NetworkUuid, vmNicUuid, ip }) =>
      takeAddress(ctx.db, finder, { l3NetworkUuid, taker: { vmNicUuid }, ip }),
    )
    ctx.serve(releaseIp, ({ vmNicUuid }) => giveBack(ctx.db, finder, vmNicUuid))
    ctx.serve(allocateServiceIp, ({ l3NetworkUuid, owner }) =>
      takeAddress(ctx.db, finder, { l3NetworkUuid, taker: { usedFor: owner } }),
    )
  },
})
