import type { PluginContext } from '#plugin-host'
import { allocateServiceIp } from '#plugins/l3-network/contract/messages.ts'
import type { UsedIp } from '#plugins/l3-network/contract/resources.ts'
import { matchTag } from '#plugins/tag/contract/extensions.ts'
import { addTags, removeSystemTag, systemTagsOf } from '#plugins/tag/contract/messages.ts'

export const DHCP_TAG = 'flatNetwork::DhcpServer::{ip}::ipUuid::{ipUuid}'

/** The address of a network's DHCP server, the same on every host; chosen once, and shown as a tag of the network. */
export async function dhcpAddress(ctx: Pick<PluginContext, 'bus'>, l3NetworkUuid: string): Promise<UsedIp> {
  const address = await ctx.bus.call(allocateServiceIp, { l3NetworkUuid, owner: 'DhcpServer' })
  const tag = DHCP_TAG.replace('{ip}', address.ip).replace('{ipUuid}', address.uuid)
  const present = await ctx.bus.call(systemTagsOf, { resourceUuid: l3NetworkUuid })
  if (!present.includes(tag)) {
    const owner = { resourceType: 'L3NetworkVO', resourceUuid: l3NetworkUuid }
    await ctx.bus.call(addTags, { ...owner, systemTags: [tag] })
  }
  // The address before went with its range.
  for (const old of present) {
    if (old === tag || matchTag(DHCP_TAG, old) === undefined) continue
    await ctx.bus.call(removeSystemTag, { resourceUuid: l3NetworkUuid, tag: old })
  }
  return address
}
