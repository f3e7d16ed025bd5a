/** Strongly connected groups of more than one node (or a node that imports itself), each as a closed path. Tarjan. */
export function findCycles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const onStack = new Set<string>()
  const cycles: string[][] = []
  for (const node of graph.keys()) if (!order.has(node)) connect(node)
  return cycles

  function connect(node: string): void {
    order.set(node, order.size)
    lowest.set(node, order.size - 1)
    stack.push(node)
    onStack.add(node)
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue
      if (!order.has(next)) {
        connect(next)
        lower(node, lowest.get(next))
      } else if (onStack.has(next)) lower(node, order.get(next))
    }
    if (lowest.get(node) === order.get(node)) closeGroup(node)
  }

  function lower(node: string, value = Number.POSITIVE_INFINITY): void {
    lowest.set(node, Math.min(lowest.get(node) ?? value, value))
  }

  function closeGroup(root: string): void {
    const group = new Set(stack.splice(stack.indexOf(root)))
    for (const node of group) onStack.delete(node)
    if (group.size > 1 || graph.get(root)?.has(root)) cycles.push(findPathBack(graph, group, root))
  }
}

/** The shortest way from `root` back to itself inside its group: what a reader needs to break the cycle. */
function findPathBack(
  graph: ReadonlyMap<string, ReadonlySet<string>>,
  group: ReadonlySet<string>,
  root: string,
): string[] {
  const paths: string[][] = [[root]]
  const seen = new Set<string>()
  for (const path of paths) {
    for (const next of graph.get(path.at(-1) ?? root) ?? []) {
      if (next === root) return [...path, root]
      if (!group.has(next) || seen.has(next)) continue
      seen.add(next)
      paths.push([...path, next])
    }
  }
  return [root]
}
