import { CloudError, describeError, sysErrors } from '#kernel'
import { agentHome } from './install-files.ts'
import type { SshSession } from './ssh.ts'

/** Which agent on which host. */
export interface Service {
  readonly role: string
  readonly hasSystemd: boolean
  /** Path of the Node binary on the host. */
  readonly node: string
}

/** (Re)starts the agent process; nothing else on the host is touched. */
export async function restartAgent(ssh: SshSession, service: Service): Promise<void> {
  if (!service.hasSystemd) {
    await ssh.check([service.node, mainPath(service.role), 'start', agentHome(service.role)])
    return
  }
  await ssh.files.write(unitPath(service.role), unitText(service), 0o644)
  await ssh.check(['systemctl', 'daemon-reload'])
  await ssh.check(['systemctl', 'enable', unitName(service.role)])
  await ssh.check(['systemctl', 'restart', unitName(service.role)])
}

/** Stops the agent process, and keeps it from starting again. One that does not run is fine. */
export async function stopAgent(ssh: SshSession, service: Service): Promise<void> {
  if (!service.hasSystemd) {
    await ssh.check([service.node, mainPath(service.role), 'stop', agentHome(service.role)])
    return
  }
  // An unknown unit is fine too: there is nothing to stop then.
  await ssh.run(['systemctl', 'disable', '--now', unitName(service.role)])
  await ssh.check(['rm', '-f', unitPath(service.role)])
  await ssh.check(['systemctl', 'daemon-reload'])
}

/** Starts what must run beside the agent. Where there is no systemd each daemon is started with -d, on unix sockets only. */
export async function ensureDaemons(
  ssh: SshSession,
  daemons: readonly string[],
  hasSystemd: boolean,
): Promise<void> {
  for (const daemon of daemons) {
    if (hasSystemd) await ssh.check(['systemctl', 'start', daemon])
    else if (!(await isRunning(ssh, daemon))) await startDaemon(ssh, daemon)
  }
}

/** By its pid file: a process list may show daemons of other namespaces of the same machine. */
async function isRunning(ssh: SshSession, daemon: string): Promise<boolean> {
  const pid = (await ssh.files.readText(`/run/${daemon}.pid`))?.trim() ?? ''
  if (!/^\d+$/.test(pid)) return false
  return (await ssh.files.readText(`/proc/${pid}/comm`))?.trim() === daemon
}

async function startDaemon(ssh: SshSession, daemon: string): Promise<void> {
  try {
    await ssh.check([`/usr/sbin/${daemon}`, '-d'])
  } catch (cause) {
    throw new CloudError(sysErrors.operationFailed, `cannot start ${daemon}: ${describeError(cause)}`, {
      cause,
    })
  }
}

function mainPath(role: string): string {
  return `${agentHome(role)}/current/agents/${role}/main.ts`
}

function unitName(role: string): string {
  return `zstack-${role}.service`
}

function unitPath(role: string): string {
  return `/etc/systemd/system/${unitName(role)}`
}

/** KillMode=process: what the agent started for VMs and networks outlives it. */
function unitText({ role, node }: Service): string {
  const home = agentHome(role)
  return `[Unit]
Description=ZStack ${role} agent
After=network-online.target libvirtd.service
Wants=network-online.target

[Service]
ExecStart=${node} ${mainPath(role)} run ${home}
Restart=always
RestartSec=1
KillMode=process
Environment=UV_THREADPOOL_SIZE=16
OOMScoreAdjust=-900
StandardOutput=append:${home}/agent.log
StandardError=append:${home}/agent.log

[Install]
WantedBy=multi-user.target
`
}
