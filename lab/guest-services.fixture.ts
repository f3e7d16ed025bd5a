/**
 * What a guest of the lab asks for when the cloud is not there: DHCP and the EC2 metadata service, in the
 * switch.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { stateDir } from './config.ts'
import type { Lab } from './lab.ts'

export interface GuestAnswers {
  address: string
  hostname: string
  userData: string
}

const METADATA_SERVER = `
import { createServer } from 'node:http'
const answers = JSON.parse(process.argv[1])
createServer((request, response) => {
  const body = answers[request.url]
  response.statusCode = body === undefined ? 404 : 200
  response.end(body)
}).listen(80, '169.254.169.254', () => console.log('listening'))
`

/** Resolves when both answer; they end with the lab. */
export async function startMetadata(lab: Lab, { address, hostname, userData }: GuestAnswers): Promise<void> {
  await lab.runInSwitch(['ip', 'addr', 'add', '169.254.169.254/32', 'dev', 'br-vm'])
  const routes = '169.254.169.254/32,10.99.0.1,0.0.0.0/0,10.99.0.1'
  await lab.runInSwitch([
    ...[
      'dnsmasq',
      '--conf-file=/dev/null',
      '--port=0',
      '--no-ping',
      '--interface=br-vm',
      '--bind-interfaces',
    ],
    ...[`--dhcp-range=${address},${address},1h`, '--dhcp-authoritative', '--user=root'],
    ...[`--dhcp-option=121,${routes}`, '--dhcp-option=26,1450'],
    ...[
      `--dhcp-leasefile=${join(stateDir(lab.name), 'leases')}`,
      `--pid-file=${join(stateDir(lab.name), 'dhcp.pid')}`,
    ],
  ])
  const answers = {
    '/latest/meta-data/instance-id': 'i-1',
    '/latest/meta-data/local-hostname': hostname,
    '/latest/user-data': userData,
  }
  const argv = [process.execPath, '--input-type=module', '--eval', METADATA_SERVER, JSON.stringify(answers)]
  const server = lab.spawnInSwitch(argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  if (server.stdout) await once(server.stdout, 'data')
  server.unref()
}
