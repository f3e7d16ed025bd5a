import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { bool, choice, int, list, optional, text } from '#contract'
import { newUuid, silentLogger } from '#kernel'
import { type Authority, createAuthority } from './ca.ts'
import { defineAgentCall } from './call.ts'
import { type AgentClientOptions, createAgentClient, type RemoteAgent } from './client.ts'
import { type AgentServer, type AgentServerOptions, createAgentServer } from './server.ts'

/** What the tests of this package call. */
export const testCalls = {
  echo: defineAgentCall({
    name: 'test.echo',
    summary: 'Gives back what it got.',
    timeoutMs: 5_000,
    input: { word: text('Any.', { max: 20 }), times: optional(int('How often.')) },
    output: { words: list('The word, repeated.', text('Word.')) },
  }),
  hold: defineAgentCall({
    name: 'test.hold',
    summary: 'Does what the test wants.',
    timeoutMs: 5_000,
    input: {},
    output: { state: choice('How it went.', ['done', 'stopped']), first: bool('Any.') },
  }),
} as const

type TestOptions = AgentServerOptions<typeof testCalls>

export interface TestAgent {
  readonly uuid: string
  readonly port: number
  readonly authority: Authority
  readonly server: AgentServer
  /** A client of the management, closed with the test. */
  client(options?: Partial<AgentClientOptions>): RemoteAgent
}

/** An authority in a directory of its own, gone with the test. */
export async function testAuthority(t: TestContext): Promise<{ authority: Authority; dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'agent-rpc-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return { authority: await createAuthority(join(dir, 'ca')), dir }
}

/** A running agent on a port of its own on loopback, with its authority and clients; all end with the test. */
export async function startTestAgent(
  t: TestContext,
  options: Partial<TestOptions> & { readonly listenPort?: number; readonly authority?: Authority } = {},
): Promise<TestAgent> {
  const uuid = options.uuid ?? newUuid()
  const authority = options.authority ?? (await testAuthority(t)).authority
  const server = createAgentServer({
    tls: await authority.issueAgent({ uuid, role: 'test', addresses: ['127.0.0.1'] }),
    calls: testCalls,
    handlers: {
      echo: async ({ word, times }) => ({ words: Array<string>(times ?? 1).fill(word) }),
      hold: async () => ({ state: 'done' as const, first: true }),
    },
    bundleHash: 'a'.repeat(64),
    logger: silentLogger,
    ...options,
    uuid,
  })
  const port = await server.listen(options.listenPort ?? 0, '127.0.0.1')
  t.after(() => server.close())
  const management = await authority.issueManagement()
  const client = (override: Partial<AgentClientOptions> = {}) => {
    const made = createAgentClient({
      ...{ address: '127.0.0.1', port, uuid, tls: management, logger: silentLogger },
      ...override,
    })
    t.after(() => made.close())
    return made
  }
  return { uuid, port, authority, server, client }
}

/** A promise with its handles outside. */
export function signalled<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>()
  return { promise, resolve }
}
