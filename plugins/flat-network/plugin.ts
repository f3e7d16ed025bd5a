import { definePlugin } from '#plugin-host'
import { networkServiceDriver } from '#plugins/network-service/contract/extensions.ts'
import { systemTagPattern } from '#plugins/tag/contract/extensions.ts'
import { DHCP_TAG } from './dhcp-address.ts'
import { createFlatDriver } from './flat-driver.ts'
import { FLAT } from './flat-type.ts'

export const flatNetworkPlugin = definePlugin({
  name: 'flat-network',
  needs: ['network-service', 'l2-network', 'l3-network', 'host', 'tag'],
  setup(ctx) {
    ctx.provide(networkServiceDriver, FLAT, createFlatDriver(ctx))
    ctx.hook(systemTagPattern, { resourceType: 'L3NetworkVO', pattern: DHCP_TAG })
  },
})
