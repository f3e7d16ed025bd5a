import { defineConfig, int, text } from '#contract'

export const proxyIdleTimeout = defineConfig({
  category: 'console',
  name: 'proxy.idleTimeout',
  description: 'Seconds without a byte in either direction after which a console is closed.',
  field: int('Seconds.', [1, 86_400]),
  defaultValue: 60,
})

export const tokenTimeout = defineConfig({
  category: 'console',
  name: 'vnc.token.timeout',
  description: 'Seconds within which a console token must be used.',
  field: int('Seconds.', [1, 3600]),
  defaultValue: 60,
})

export const proxyAddress = defineConfig({
  category: 'console',
  name: 'proxy.address',
  description:
    'Address that clients are told to use for consoles, where it is another than the management node knows (NAT). Empty: its own.',
  field: text('Address.', { max: 255 }),
  defaultValue: '',
})

export const proxyPort = defineConfig({
  category: 'console',
  name: 'proxy.port',
  description: 'Port that clients are told to use for consoles.',
  field: int('Port.', [1, 65_535]),
  defaultValue: 5000,
})
