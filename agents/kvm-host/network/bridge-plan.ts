/**
 * Moves addresses and routes between an interface and its bridge, as lines for one `ip -batch` process: the whole move takes
 * about a millisecond and does not depend on the agent surviving it. At every point of the sequence each address
 * is on at least one of the two, and each route is replaced, never first deleted; so a session over the interface goes on, and
 * a move that was cut short is completed by planning it again.
 */

export interface Address {
  readonly family: string
  readonly local: string
  readonly prefixlen: number
  readonly scope?: string
  readonly broadcast?: string
  readonly metric?: number
  readonly dynamic?: boolean
  readonly noprefixroute?: boolean
  readonly valid_life_time?: number
  readonly preferred_life_time?: number
}

export interface Route {
  readonly family: 4 | 6
  readonly type?: string
  readonly dst: string
  readonly gateway?: string
  readonly via?: { readonly family: string; readonly host: string }
  readonly table?: string
  readonly protocol?: string
  readonly scope?: string
  readonly prefsrc?: string
  readonly metric?: number
  readonly pref?: string
  readonly flags?: readonly string[]
  readonly metrics?: readonly Readonly<Record<string, number>>[]
}

const FOREVER = 4_294_967_295

/** Addresses that belong to the host and not to the device: link-local ones and those a router announces come by themselves. */
export function movableAddresses(addresses: readonly Address[]): Address[] {
  return addresses.filter((a) => a.scope !== 'link' && !(a.family === 'inet6' && a.dynamic === true))
}

/**
 * Routes somebody set. The kernel makes its own with the addresses, except for addresses that say they want none: those routes
 * were made by a network manager under the kernel's name.
 */
export function movableRoutes(routes: readonly Route[], addresses: readonly Address[]): Route[] {
  const alsoKernels = addresses.some((a) => a.noprefixroute === true)
  const ofDevice = /^(?:fe80|ff00)::/
  return routes.filter(
    (r) =>
      r.protocol !== 'ra' &&
      r.table !== 'local' &&
      !ofDevice.test(r.dst) &&
      (alsoKernels || r.protocol !== 'kernel'),
  )
}

/** Batch lines that bring addresses and routes to `to` and then take the addresses from `from`. */
export function planMove(
  addresses: readonly Address[],
  routes: readonly Route[],
  { from, to }: { readonly from: string; readonly to: string },
): string[] {
  return [...planArrival(addresses, routes, to), ...addresses.map((a) => `addr del ${prefix(a)} dev ${from}`)]
}

/** Batch lines that make addresses and routes be on `device`, whatever is there already. */
export function planArrival(
  addresses: readonly Address[],
  routes: readonly Route[],
  device: string,
): string[] {
  return [
    ...addresses.map((a) => `addr replace ${prefix(a)}${addressOptions(a)} dev ${device}`),
    ...[...routes]
      .sort((a, b) => hops(a) - hops(b))
      .map((r) => `route replace ${routeWords(r)} dev ${device}`),
  ]
}

function prefix(a: Address): string {
  return `${a.local}/${a.prefixlen}`
}

function addressOptions(a: Address): string {
  const life = (seconds: number | undefined) =>
    seconds === undefined || seconds >= FOREVER ? 'forever' : String(seconds)
  return [
    a.broadcast === undefined ? '' : ` brd ${a.broadcast}`,
    a.metric === undefined ? '' : ` metric ${a.metric}`,
    a.scope === undefined || a.scope === 'global' ? '' : ` scope ${a.scope}`,
    ` valid_lft ${life(a.valid_life_time)} preferred_lft ${life(a.preferred_life_time)}`,
    // The address is in use already, asking the network whether it is free would only make a gap.
    a.family === 'inet6' ? ' nodad' : '',
    a.noprefixroute === true ? ' noprefixroute' : '',
  ].join('')
}

function routeWords(r: Route): string {
  const everything = r.family === 6 ? '::/0' : '0.0.0.0/0'
  const via = r.via === undefined ? r.gateway : `${r.via.family} ${r.via.host}`
  const metrics = (r.metrics ?? []).flatMap((m) =>
    Object.entries(m).map(([name, value]) => ` ${name} ${value}`),
  )
  return [
    r.type === undefined || r.type === 'unicast' ? '' : `${r.type} `,
    r.dst === 'default' ? everything : r.dst,
    via === undefined ? '' : ` via ${via}`,
    r.table === undefined ? '' : ` table ${r.table}`,
    r.protocol === undefined ? '' : ` proto ${r.protocol}`,
    r.scope === undefined || r.scope === 'global' ? '' : ` scope ${r.scope}`,
    r.prefsrc === undefined ? '' : ` src ${r.prefsrc}`,
    r.metric === undefined ? '' : ` metric ${r.metric}`,
    r.pref === undefined || r.family === 4 ? '' : ` pref ${r.pref}`,
    r.flags?.includes('onlink') === true ? ' onlink' : '',
    ...metrics,
  ].join('')
}

/** Routes through a gateway come after the routes that reach the gateway. */
function hops(r: Route): number {
  return r.gateway === undefined && r.via === undefined ? 0 : 1
}
