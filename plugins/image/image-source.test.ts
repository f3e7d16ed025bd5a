import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkUrl, installPath, kindOf } from './image-source.ts'

describe('the kind of an image', () => {
  it('is filled in from what was given', () => {
    assert.deepEqual(kindOf({ format: 'QCOW2' }), { format: 'qcow2', mediaType: 'RootVolumeTemplate' })
    assert.deepEqual(kindOf({ format: 'iso' }), { format: 'iso', mediaType: 'ISO' })
    assert.deepEqual(kindOf({ mediaType: 'ISO' }), { format: 'iso', mediaType: 'ISO' })
    const data = kindOf({ format: 'raw', mediaType: 'DataVolumeTemplate' })
    assert.deepEqual(data, { format: 'raw', mediaType: 'DataVolumeTemplate' })
  })

  it('is refused when unknown or contradictory', () => {
    for (const input of [{}, { format: 'vmdk' }, { mediaType: 'RootVolumeTemplate' as const }])
      assert.throws(() => kindOf(input), /field\[format\].*qcow2, raw, iso/)
    assert.throws(() => kindOf({ format: 'iso', mediaType: 'RootVolumeTemplate' }), /belong together/)
    assert.throws(() => kindOf({ format: 'raw', mediaType: 'ISO' }), /belong together/)
  })

  it('decides the folder', () => {
    const path = installPath(
      '/images/',
      { accountUuid: 'a', imageUuid: 'i' },
      { format: 'iso', mediaType: 'ISO' },
    )
    assert.equal(path, '/images/isos/acct-a/i/i.iso')
  })
})

describe('the URL of an image', () => {
  it('is stored without its credentials', () => {
    const { url, publicUrl } = checkUrl('https://me:secret@images.example/a.qcow2?v=2', [])
    assert.equal(url, 'https://me:secret@images.example/a.qcow2?v=2')
    assert.equal(publicUrl, 'https://images.example/a.qcow2?v=2')
    assert.equal(checkUrl('http://10.0.0.1/a b', []).publicUrl, 'http://10.0.0.1/a b')
  })

  it('never names the image server itself', () => {
    const hosts = [
      'localhost',
      'a.localhost',
      '127.0.0.1',
      '0177.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '169.254.169.254',
    ]
    for (const host of [...hosts, '[fe80::1]', '0.0.0.0', 'localhost.'])
      assert.throws(() => checkUrl(`http://${host}/a`, []), /is the image server itself/, host)
  })

  it('is http, https or file', () => {
    for (const url of ['ftp://images.example/a', 'data:,a', 'nonsense'])
      assert.throws(() => checkUrl(url, []), /field\[url\]/, url)
  })

  it('names a file only below an allowed directory', () => {
    assert.throws(() => checkUrl('file:///srv/a', []), /download\.filePrefixes/)
    assert.equal(checkUrl('file:///srv/images/a', ['/srv/images']).url, 'file:///srv/images/a')
    const outside = [
      'file:///srv/images2/a',
      'file:///srv/images/../a',
      'file:///srv/images/%2e%2e/a',
      'file:///srv',
    ]
    for (const url of [...outside, 'file://host/srv/images/a', 'file:///srv/images/%zz'])
      assert.throws(() => checkUrl(url, ['/srv/images']), { code: 'SYS.1007' }, url)
  })
})
