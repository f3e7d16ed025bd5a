import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { CloudError, sysErrors } from '#kernel'
import { ipv4ToNumber } from './ipv4.ts'

/**
 * A socket belongs for life to the network namespace it was made in, wherever the process is later. So the agent steps into
 * the namespace, makes the listening socket and steps back, all within one synchronous call: nothing else of this
 * thread can run in between, and other threads have their own namespace.
 */

const CLONE_NEWNET = 0x4000_0000
const AF_INET = 2
// Non-blocking for the event loop; close-on-exec so that no child (dnsmasq lives longer than the agent) inherits it.
const SOCK_STREAM_FLAGS = 1 | 0o4000 | 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const BACKLOG = 128

type Libc = ReturnType<typeof bindLibc>
let bound: Libc | undefined

function bindLibc() {
  const lib = koffi.load('libc.so.6')
  return {
    setns: lib.func('int setns(int fd, int type)') as (fd: number, type: number) => number,
    socket: lib.func('int socket(int family, int type, int protocol)') as (...a: number[]) => number,
    setsockopt: lib.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t size)') as (
      ...a: [number, number, number, Buffer, number]
    ) => number,
    bind: lib.func('int bind(int fd, const void *address, uint32_t size)') as (
      ...a: [number, Buffer, number]
    ) => number,
    listen: lib.func('int listen(int fd, int backlog)') as (...a: number[]) => number,
  }
}

/** A listening TCP socket inside the namespace at `namespacePath`, as a file descriptor the caller owns. Throws SYS.1016. */
export function listenInNamespace(namespacePath: string, address: string, port: number): number {
  bound ??= bindLibc()
  const libc = bound
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    const there = openSync(namespacePath, 'r')
    try {
      check(libc.setns(there, CLONE_NEWNET), `enter the network namespace ${namespacePath}`)
      try {
        return makeListener(libc, address, port)
      } finally {
        stepBack(libc, home)
      }
    } finally {
      closeSync(there)
    }
  } finally {
    closeSync(home)
  }
}

function makeListener(libc: Libc, address: string, port: number): number {
  const fd = check(libc.socket(AF_INET, SOCK_STREAM_FLAGS, 0), 'make a socket')
  try {
    const one = Buffer.alloc(4)
    one.writeInt32LE(1)
    check(libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4), 'set SO_REUSEADDR')
    const name = Buffer.alloc(16)
    name.writeUInt16LE(AF_INET, 0)
    name.writeUInt16BE(port, 2)
    name.writeUInt32BE(ipv4ToNumber(address), 4)
    check(libc.bind(fd, name, name.length), `bind ${address}:${port}`)
    check(libc.listen(fd, BACKLOG), `listen on ${address}:${port}`)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function stepBack(libc: Libc, home: number): void {
  if (libc.setns(home, CLONE_NEWNET) === 0) return
  // Every later command would act on the wrong network: a process that cannot return must not go on.
  process.stderr.write('cannot return to the own network namespace, giving up\n')
  process.abort()
}

function check(result: number, what: string): number {
  if (result >= 0) return result
  const errno = koffi.errno()
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`
  throw new CloudError(sysErrors.ioError, `cannot ${what}: ${name}`)
}
