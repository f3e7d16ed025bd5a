import type { TestContext } from 'node:test'
import { createHttpServer } from '#http'
import { silentLogger } from '#kernel'
import { monitorRoute, readinessCheck } from '#plugin-host'
import type { TestCloud } from '#testkit'

/** The cloud's API on a port of the loopback, watched as in a real process. Returns its address. */
export async function serveCloud(t: TestContext, { cloud }: Pick<TestCloud, 'cloud'>): Promise<string> {
  const { dispatcher, jobs, context } = cloud
  const server = createHttpServer({
    log: silentLogger,
    dispatcher,
    jobs,
    staticRoutes: context.hooks(monitorRoute),
    readinessChecks: context.hooks(readinessCheck),
  })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => server.dispose())
  return `http://127.0.0.1:${port}`
}
