/** Builds and updates elements. Names of resources reach the page only as text, never as markup. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else node.setAttribute(name, value === true ? '' : value)
  }
  node.append(...children.filter((child) => child !== undefined))
  return node
}

const shown = new WeakMap()

/**
 * Shows one child for each item under its key. Only what changed is built again, so that focus, selection and screen readers
 * are left in peace by a refresh.
 */
export function showItems(parent, items, { key, build, empty }) {
  const before = shown.get(parent) ?? new Map()
  const after = new Map()
  for (const item of items) {
    const id = key(item)
    const state = JSON.stringify(item)
    const old = before.get(id)
    after.set(id, old?.state === state ? old : { state, node: build(item) })
  }
  if (items.length === 0) after.set('', before.get('') ?? { state: '', node: empty() })
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined
  const wanted = [...after.values()].map(({ node }) => node)
  if (wanted.length !== parent.children.length || wanted.some((node, i) => parent.children[i] !== node)) {
    parent.replaceChildren(...wanted)
    if (focused) parent.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus()
  }
  shown.set(parent, after)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** 1610612736 -> `1.5 GiB`. */
export function size(bytes) {
  let value = Number(bytes)
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}
