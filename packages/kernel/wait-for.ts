/**
 * Waits until `condition` gives something other than false, null or undefined, and returns it. Asks again every `intervalMs`;
 * after `timeoutMs` it throws an error that names `what` and the last reason. For conditions outside this process;
 * inside it, await the thing itself.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  options: { readonly timeoutMs?: number; readonly intervalMs?: number } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const timeoutMs = options.timeoutMs ?? 10_000
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value !== false && value !== null && value !== undefined)
        return value as NonNullable<Exclude<T, false>>
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() >= deadline) {
      throw new Error(
        `waited ${timeoutMs} ms in vain for: ${what}`,
        last === undefined ? undefined : { cause: last },
      )
    }
    await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 20))
  }
}
