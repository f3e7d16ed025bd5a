import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LabConfig, stateDir } from './config.ts'

export interface HostRecord {
  name: string
  address: string
  /** The uuid libvirt reports; stays the same over crashes and reboots. */
  hostUuid: string
}

export type NatState = { on: true; pid: number; resolver: string } | { on: false; reason: string }

/** lab.json: readable by root only, because it holds the password of the hosts. */
export interface LabState {
  config: LabConfig
  nat: NatState
  hosts: HostRecord[]
}

/** Undefined when there is no such lab. */
export function readState(lab: string): LabState | undefined {
  try {
    return JSON.parse(readFileSync(statePath(lab), 'utf8')) as LabState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function writeState(state: LabState): Promise<void> {
  const path = statePath(state.config.name)
  await writeFile(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

function statePath(lab: string): string {
  return join(stateDir(lab), 'lab.json')
}
