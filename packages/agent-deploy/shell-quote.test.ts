import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { quoteCommand } from './shell-quote.ts'

/** What a POSIX shell makes of the line, with arguments shown as `printf` gives them, NUL between. */
function throughShell(argv: readonly string[]): string[] {
  const line = quoteCommand(['printf', '%s\\0', ...argv])
  return execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8' }).split('\0').slice(0, -1)
}

test('nothing in an argument means anything to the shell', () => {
  const nasty = [
    "it's",
    "'; touch /tmp/owned; '",
    '$(id) `id` ${HOME} $HOME',
    '"double"',
    'back\\slash\\',
    'new\nline',
    '* ? [a] ~ {a,b}',
    '-rf',
    '',
    ' ',
    '!!',
    '#x',
    'a&&b||c;d|e>f<g&',
    'ümläut 漢字',
    "''''",
    '\t\r',
  ]
  assert.deepEqual(throughShell(nasty), nasty)
})

test('any strings arrive as they were sent', () => {
  // A lone surrogate is no text: it cannot be sent as UTF-8 at all.
  const argument = fc
    .string({ unit: 'grapheme' })
    .filter((text) => !text.includes('\0') && text.isWellFormed())
  fc.assert(
    fc.property(fc.array(argument, { minLength: 1, maxLength: 10 }), (argv) => {
      assert.deepEqual(throughShell(argv), argv)
    }),
    { numRuns: 50 },
  )
})

test('what no shell can carry is refused', () => {
  assert.throws(() => quoteCommand(['cat', 'a\0b']), /NUL/)
  assert.throws(() => quoteCommand([]), /needs a program/)
  assert.throws(() => quoteCommand(['', 'x']), /needs a program/)
})
