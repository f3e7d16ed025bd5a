import { CloudError, sysErrors } from '#kernel'

/** The host shows another key than the one we know. */
export function hostKeyChanged(where: string, keys: { known: string; shown: string }): CloudError {
  return new CloudError(
    sysErrors.operationFailed,
    `the SSH host key of ${where} changed: known ${keys.known}, shown ${keys.shown}. If the host was reinstalled, remove it and add it ` +
      'again, which takes its new key; if not, somebody may sit between: do not connect',
    { opaque: { knownHostKey: keys.known, shownHostKey: keys.shown } },
  )
}

/** Why no SSH session came about, and what to do. */
export function explainSshFailure(error: Error, where: string, username: string): CloudError {
  const { code, level } = error as { code?: string; level?: string }
  if (level === 'client-authentication') {
    return new CloudError(
      sysErrors.operationFailed,
      `${where} refused the login of ${username}: wrong password or key, or its sshd does not let ${username} in that way ` +
        '(PermitRootLogin, PasswordAuthentication)',
      { cause: error },
    )
  }
  if (/privateKey|private key|passphrase/i.test(error.message)) {
    const details = `the private key for ${username} at ${where} cannot be used: ${error.message}`
    return new CloudError(sysErrors.invalidArgument, details, { cause: error })
  }
  return new CloudError(sysErrors.ioError, reachDetails(code ?? level ?? '', where, error.message), {
    cause: error,
  })
}

function reachDetails(code: string, where: string, reason: string): string {
  if (code === 'ECONNREFUSED')
    return `no SSH server listens at ${where}: is sshd installed, and is the port right?`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the name of ${where} cannot be resolved`
  if (
    code === 'client-timeout' ||
    code === 'ETIMEDOUT' ||
    code === 'EHOSTUNREACH' ||
    code === 'ENETUNREACH'
  ) {
    return `no answer from ${where}: is the host up, and does a firewall let SSH through? (${reason})`
  }
  return `cannot open an SSH session to ${where}: ${reason}`
}
