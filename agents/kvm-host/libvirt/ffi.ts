import koffi, { type KoffiFunc, type TypeObject } from 'koffi'

/**
 * The few functions of libvirt's C API this agent uses, callable from TypeScript. Nothing but declarations: who may call
 * what when, and how an error finds its call, is the matter of connection.ts. Why C and not virsh:
 * docs/adr/0001-libvirt-through-ffi.md.
 */

/** Address of a C object: a connection, a domain, a parameter list. */
export type Pointer = bigint

type Fn<A extends unknown[], R> = KoffiFunc<(...args: A) => R>
type Out<T> = [T]

export interface LibvirtApi {
  readonly eventRegisterDefaultImpl: Fn<[], number>
  readonly eventRunDefaultImpl: Fn<[], number>
  readonly eventAddTimeout: Fn<[number, Pointer, Pointer, null], number>
  readonly eventUpdateTimeout: Fn<[number, number], void>
  readonly setErrorFunc: Fn<[null, Pointer], void>
  readonly connectOpen: Fn<[string], Pointer | null>
  readonly connectClose: Fn<[Pointer], number>
  readonly connectIsAlive: Fn<[Pointer], number>
  readonly connectSetKeepAlive: Fn<[Pointer, number, number], number>
  readonly connectSetErrorFunc: Fn<[Pointer, null, Pointer], void>
  readonly connectRegisterCloseCallback: Fn<[Pointer, Pointer, null, null], number>
  readonly connectUnregisterCloseCallback: Fn<[Pointer, Pointer], number>
  readonly connectGetLibVersion: Fn<[Pointer, Out<number>], number>
  readonly connectGetVersion: Fn<[Pointer, Out<number>], number>
  readonly connectGetCapabilities: Fn<[Pointer], string | null>
  readonly connectListAllDomains: Fn<[Pointer, Out<Pointer | null>, number], number>
  readonly eventRegisterAny: Fn<[Pointer, null, number, Pointer, null, null], number>
  readonly eventDeregisterAny: Fn<[Pointer, number], number>
  readonly lookupByUuid: Fn<[Pointer, string], Pointer | null>
  readonly createXml: Fn<[Pointer, string, number], Pointer | null>
  readonly domainFree: Fn<[Pointer], number>
  readonly domainGetName: Fn<[Pointer], string>
  readonly domainGetUuidString: Fn<[Pointer, Buffer], number>
  readonly domainGetXml: Fn<[Pointer, number], string | null>
  readonly domainGetState: Fn<[Pointer, Out<number>, Out<number>, number], number>
  readonly domainShutdownFlags: Fn<[Pointer, number], number>
  readonly domainDestroyFlags: Fn<[Pointer, number], number>
  readonly domainSuspend: Fn<[Pointer], number>
  readonly domainResume: Fn<[Pointer], number>
  readonly domainAttachDevice: Fn<[Pointer, string, number], number>
  readonly domainDetachAlias: Fn<[Pointer, string, number], number>
  readonly domainMigrateToUri3: Fn<[Pointer, string, Pointer | null, number, number], number>
  readonly domainGetJobStats: Fn<[Pointer, Out<number>, Out<Pointer | null>, Out<number>, number], number>
  readonly domainAbortJob: Fn<[Pointer], number>
  readonly paramsAddString: Fn<[Out<Pointer | null>, Out<number>, Out<number>, string, string], number>
  readonly paramsGetULLong: Fn<[Pointer, number, string, Out<number>], number>
  readonly paramsFree: Fn<[Pointer, number], void>
}

const PROTOTYPES: Readonly<Record<keyof LibvirtApi, string>> = {
  eventRegisterDefaultImpl: 'int virEventRegisterDefaultImpl()',
  eventRunDefaultImpl: 'int virEventRunDefaultImpl()',
  eventAddTimeout: 'int virEventAddTimeout(int ms, void *cb, void *opaque, void *ff)',
  eventUpdateTimeout: 'void virEventUpdateTimeout(int timer, int ms)',
  setErrorFunc: 'void virSetErrorFunc(void *userData, void *handler)',
  connectOpen: 'void *virConnectOpen(const char *name)',
  connectClose: 'int virConnectClose(void *conn)',
  connectIsAlive: 'int virConnectIsAlive(void *conn)',
  connectSetKeepAlive: 'int virConnectSetKeepAlive(void *conn, int interval, unsigned int count)',
  connectSetErrorFunc: 'void virConnSetErrorFunc(void *conn, void *userData, void *handler)',
  connectRegisterCloseCallback:
    'int virConnectRegisterCloseCallback(void *conn, void *cb, void *opaque, void *ff)',
  connectUnregisterCloseCallback: 'int virConnectUnregisterCloseCallback(void *conn, void *cb)',
  connectGetLibVersion: 'int virConnectGetLibVersion(void *conn, _Out_ unsigned long *version)',
  connectGetVersion: 'int virConnectGetVersion(void *conn, _Out_ unsigned long *version)',
  connectGetCapabilities: 'str! virConnectGetCapabilities(void *conn)',
  connectListAllDomains: 'int virConnectListAllDomains(void *conn, _Out_ void **domains, unsigned int flags)',
  eventRegisterAny:
    'int virConnectDomainEventRegisterAny(void *conn, void *dom, int eventID, void *cb, void *opaque, void *ff)',
  eventDeregisterAny: 'int virConnectDomainEventDeregisterAny(void *conn, int callbackID)',
  lookupByUuid: 'void *virDomainLookupByUUIDString(void *conn, const char *uuid)',
  createXml: 'void *virDomainCreateXML(void *conn, const char *xml, unsigned int flags)',
  domainFree: 'int virDomainFree(void *dom)',
  domainGetName: 'const char *virDomainGetName(void *dom)',
  domainGetUuidString: 'int virDomainGetUUIDString(void *dom, void *buffer)',
  domainGetXml: 'str! virDomainGetXMLDesc(void *dom, unsigned int flags)',
  domainGetState: 'int virDomainGetState(void *dom, _Out_ int *state, _Out_ int *reason, unsigned int flags)',
  domainShutdownFlags: 'int virDomainShutdownFlags(void *dom, unsigned int flags)',
  domainDestroyFlags: 'int virDomainDestroyFlags(void *dom, unsigned int flags)',
  domainSuspend: 'int virDomainSuspend(void *dom)',
  domainResume: 'int virDomainResume(void *dom)',
  domainAttachDevice: 'int virDomainAttachDeviceFlags(void *dom, const char *xml, unsigned int flags)',
  domainDetachAlias: 'int virDomainDetachDeviceAlias(void *dom, const char *alias, unsigned int flags)',
  domainMigrateToUri3:
    'int virDomainMigrateToURI3(void *dom, const char *uri, void *params, unsigned int n, unsigned int flags)',
  domainGetJobStats:
    'int virDomainGetJobStats(void *dom, _Out_ int *type, _Out_ void **params, _Out_ int *n, unsigned int flags)',
  domainAbortJob: 'int virDomainAbortJob(void *dom)',
  paramsAddString:
    'int virTypedParamsAddString(_Inout_ void **params, _Inout_ int *n, _Inout_ int *max, const char *name, const char *value)',
  paramsGetULLong:
    'int virTypedParamsGetULLong(void *params, int n, const char *name, _Out_ unsigned long long *value)',
  paramsFree: 'void virTypedParamsFree(void *params, int n)',
}

/** Signatures of what libvirt calls back. */
export interface CallbackPrototypes {
  /** (userData, virErrorPtr) */
  readonly error: TypeObject
  /** (conn, reason, opaque) */
  readonly close: TypeObject
  /** (conn, dom, event, detail, opaque) */
  readonly lifecycle: TypeObject
  /** (conn, dom, alias, opaque) */
  readonly device: TypeObject
  /** (conn, dom, params, count, opaque) */
  readonly job: TypeObject
}

export interface LoadedLibvirt {
  readonly api: LibvirtApi
  readonly callbacks: CallbackPrototypes
  readonly errorStruct: TypeObject
  /**
   * virEventUpdateTimeout itself as the callback of a timeout: it is called with (timer, opaque), so a timeout whose opaque
   * is a number of milliseconds arms itself again, without JavaScript.
   */
  readonly rearmTimeout: Pointer
}

let loaded: LoadedLibvirt | undefined

/** Loads libvirt's client library, once in a process. Throws when it is not installed. */
export function loadLibvirt(): LoadedLibvirt {
  loaded ??= load()
  return loaded
}

function load(): LoadedLibvirt {
  // koffi runs asynchronous calls on small stacks of its own; libvirt is written for the usual ones.
  koffi.config({ async_stack_size: 1024 * 1024 })
  const library = koffi.load('libvirt.so.0')
  const api = Object.fromEntries(
    Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)]),
  ) as unknown as LibvirtApi
  const errorStruct = koffi.struct('virError', {
    code: 'int',
    domain: 'int',
    message: 'const char *',
    level: 'int',
  })
  const callbacks = {
    error: koffi.proto('void virErrorFunc(void *userData, void *error)'),
    close: koffi.proto('void virConnectCloseFunc(void *conn, int reason, void *opaque)'),
    lifecycle: koffi.proto(
      'int virDomainEventCallback(void *conn, void *dom, int event, int detail, void *opaque)',
    ),
    device: koffi.proto('void virDeviceCallback(void *conn, void *dom, const char *alias, void *opaque)'),
    job: koffi.proto('void virJobCallback(void *conn, void *dom, void *params, int count, void *opaque)'),
  }
  const rearmTimeout = koffi.address(library.symbol('virEventUpdateTimeout'))
  return { api, callbacks, errorStruct, rearmTimeout }
}

/** Runs a C function in a thread. Its result is the C one: failures show as -1 or null, not as a rejection. */
export function inThread<A extends unknown[], R>(fn: Fn<A, R>, ...args: A): Promise<R> {
  return new Promise<R>((resolve, reject) => {
    const done = (error: unknown, result: R) =>
      error === null || error === undefined ? resolve(result) : reject(error)
    // The types of a rest parameter followed by a callback cannot be told to TypeScript generically.
    ;(fn.async as (...all: unknown[]) => void)(...args, done)
  })
}

/** Makes a TypeScript function callable from C; it always runs on the main thread, the C caller waits for it. */
export function toCallback(fn: (...args: never[]) => unknown, prototype: TypeObject): Pointer {
  return koffi.register(fn, koffi.pointer(prototype))
}

/** Frees a callback which C will call no more. */
export function releaseCallback(callback: Pointer): void {
  koffi.unregister(callback)
}

/** Reads `count` addresses from a C array and frees the array. */
export function takePointerArray(array: Pointer, count: number): Pointer[] {
  const items = koffi.decode(array, 'void *', count) as Pointer[]
  koffi.free(array)
  return items
}

/** Reads a virError; its memory is valid only while the callback runs. */
export function readError(error: Pointer): {
  code: number
  domain: number
  message: string | null
  level: number
} {
  return koffi.decode(error, loadLibvirt().errorStruct)
}
