import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { XMLParser } from 'fast-xml-parser'
import { element, escapeXml, textElement, toXmlCharacters, writeXml } from './xml.ts'

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
})

test('markup in names stays text', () => {
  const nasty = `"'<>&]]>\u0001\u0000\ud800`
  const xml = writeXml(element('a', { b: nasty }, [textElement('c', nasty)]))
  const safe = '&quot;&apos;&lt;&gt;&amp;]]&gt;\ufffd\ufffd\ufffd'
  assert.equal(xml, `<a b='${safe}'>\n  <c>${safe}</c>\n</a>\n`)
})

test('white space in attributes survives, as references', () => {
  assert.equal(escapeXml('a\tb\nc\r'), 'a&#9;b&#10;c&#13;')
})

test('whatever is written is read back, except what XML cannot say', () => {
  const check = (value: string) => {
    const written = writeXml(element('a', { b: value }, [textElement('c', `x${value}x`)]))
    const { a } = parser.parse(written)
    assert.equal(a['@b'], toXmlCharacters(value))
    assert.equal(a.c, `x${toXmlCharacters(value)}x`)
  }
  fc.assert(fc.property(fc.string({ unit: 'binary' }), check))
})

test('absent attributes and children are left out', () => {
  assert.equal(
    writeXml(element('a', { b: undefined, c: 0 }, [false, undefined, element('d')])),
    "<a c='0'>\n  <d/>\n</a>\n",
  )
})
