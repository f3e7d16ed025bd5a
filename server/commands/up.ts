import { parseArgs } from 'node:util'
import { type Client, createClient } from '#client'
import { buildGuestImage } from '#lab/images/build-guest.ts'
import { createLab } from '#lab/lab.ts'
import { ensureDebianPackages } from '#tools/setup/install-debian.ts'
import { buildKvmDemo } from '../demo/kvm-demo.ts'
import { buildSimulatorDemo } from '../demo/simulator-demo.ts'
import { apiUrl, type Instance, instanceOf, runningPid, startManagement, uiUrl } from '../instance.ts'
import { step } from '../progress.ts'

export const labName = process.env.ZSTACK_LAB ?? 'zs'
const account = 'admin'
const password = process.env.ZSTACK_ADMIN_PASSWORD ?? 'password'

/** `./zstack up`: a running cloud with a first VM. What is there already is left as it is. */
export async function up(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { simulator: { type: 'boolean', default: false }, hosts: { type: 'string', default: '2' } },
  })
  const hosts = Number(values.hosts)
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > 16)
    throw new Error(`--hosts must be a number from 1 to 16, got '${values.hosts}'`)
  const other = instanceOf(values.simulator ? 'cloud' : 'simulator')
  if (runningPid(other) !== undefined)
    throw new Error(`the ${other.mode} of this checkout is running; ./zstack down it first`)
  if (values.simulator) await upSimulator(hosts)
  else await upReal(hosts)
}

async function upSimulator(hosts: number): Promise<void> {
  const instance = instanceOf('simulator')
  await startIfNeeded(instance, [])
  const demo = await buildSimulatorDemo(await logIn(), hosts)
  tell(demo.summary, 'zstack-cli QueryVmInstance')
}

async function upReal(hosts: number): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'real virtual machines need root: run it as root, or try ./zstack up --simulator, which needs nothing',
    )
  }
  await step('Debian packages', () => ensureDebianPackages('run'))
  const image = await step('guest image', () => buildGuestImage())
  const lab = createLab({ name: labName })
  await step(`${hosts} virtual hosts`, () => lab.up({ hosts }))
  const instance = instanceOf('cloud')
  await startIfNeeded(instance, lab.commandInSwitch([]))
  const demo = await buildKvmDemo({ client: await logIn(), lab, hosts, image })
  tell(demo.summary, `lab run -- curl http://${demo.guestIp}/`)
}

async function startIfNeeded(instance: Instance, prefix: readonly string[]): Promise<void> {
  if (runningPid(instance) !== undefined) return
  await step('management node', () => startManagement(instance, prefix))
}

async function logIn(): Promise<Client> {
  const client = createClient({ baseUrl: apiUrl })
  await client.logIn(account, password)
  return client
}

function tell(summary: readonly string[], example: string): void {
  const lines = [
    '',
    ...summary,
    '',
    `  UI    ${uiUrl}`,
    `  API   ${apiUrl}/zstack/v1`,
    `  login ${account} / ${password}${password === 'password' ? '   <- the default: change it with UpdateAccount' : ''}`,
    '',
    '  Try next:',
    `    ./zstack ${example.startsWith('zstack-cli') ? example.replace('zstack-cli', 'cli') : example}`,
    '    ./zstack cli LogInByAccount accountName=admin password=password',
    '    ./zstack cli help',
    '    ./zstack status',
    '',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
