/**
 * Writes XML from values, so that no name a person chose can become markup. XML 1.0 has no way at all to say most control
 * characters, not even as references: they become U+FFFD, the sign for "a character that cannot be shown".
 */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, XmlValue>>
  readonly children: readonly XmlElement[]
  readonly text: string | undefined
}

type XmlValue = string | number | undefined
type Child = XmlElement | false | undefined

/** An element; attributes that are undefined and children that are false or undefined are left out. */
export function element(
  name: string,
  attributes: Readonly<Record<string, XmlValue>> = {},
  children: readonly Child[] = [],
): XmlElement {
  return {
    name,
    attributes,
    children: children.filter((c) => c !== false && c !== undefined),
    text: undefined,
  }
}

/** An element that holds text. */
export function textElement(
  name: string,
  value: string | number,
  attributes: Readonly<Record<string, XmlValue>> = {},
): XmlElement {
  return { name, attributes, children: [], text: String(value) }
}

/** The document, indented by two spaces, ending in a newline. */
export function writeXml(root: XmlElement): string {
  return writeLines(root, '').join('\n').concat('\n')
}

function writeLines(item: XmlElement, indent: string): string[] {
  const attributes = Object.entries(item.attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}='${escapeXml(String(value))}'`)
    .join('')
  if (item.text !== undefined)
    return [`${indent}<${item.name}${attributes}>${escapeXml(item.text)}</${item.name}>`]
  if (item.children.length === 0) return [`${indent}<${item.name}${attributes}/>`]
  const inner = item.children.flatMap((child) => writeLines(child, `${indent}  `))
  return [`${indent}<${item.name}${attributes}>`, ...inner, `${indent}</${item.name}>`]
}

const REFERENCES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

/** Text that is safe both between tags and in an attribute. */
export function escapeXml(value: string): string {
  return toXmlCharacters(value).replace(/[&<>'"\t\n\r]/g, (character) => REFERENCES[character] ?? character)
}

/** The value with every character XML 1.0 forbids (and half a surrogate pair) replaced by U+FFFD. */
export function toXmlCharacters(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  return value.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
}
