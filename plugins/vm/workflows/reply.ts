import type { PluginContext } from '#plugin-host'
import { vmInstance } from '../contract/resources.ts'

/** What calls that change a VM are answered with. */
export type VmReply = { readonly inventory: Record<string, unknown> }

export async function vmReply(ctx: PluginContext, vmUuid: string): Promise<VmReply> {
  return { inventory: await ctx.query.view(vmInstance, vmUuid) }
}
