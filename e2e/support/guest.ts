import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { waitFor } from '#kernel'
import type { Lab } from '#lab/lab.ts'

/**
 * User data that gives the lab's guest more pages: /cgi-bin/renew asks for a lease and shows it, /cgi-bin/user-data asks
 * the metadata service now, /cgi-bin/poweroff switches off from inside. It is run at every boot, not only at the first.
 */
export const guestPages = `#!/bin/sh
page() {
  { printf '#!/bin/sh\\nprintf "Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n"\\n'; cat; } > /www/cgi-bin/$1
  chmod 755 /www/cgi-bin/$1
}
page renew <<'E'
rm -f /run/net/eth0; kill -USR1 $(cat /run/net/eth0.pid)
n=0; until [ -e /run/net/eth0 ] || [ $n -ge 50 ]; do usleep 100000; n=$((n + 1)); done
cat /run/net/eth0
E
page user-data <<'E'
exec wget -q -O - http://169.254.169.254/latest/user-data
E
page keys <<'E'
exec cat /root/.ssh/authorized_keys
E
page poweroff <<'E'
setsid sh -c 'usleep 300000; exec /etc/off poweroff' < /dev/null > /dev/null 2>&1 &
E
(usleep 500000; rm -f /data/instance-id; sync) &
`

/** What the guest serves at a path, or undefined when it does not answer within `seconds`. */
export async function askGuest(lab: Lab, ip: string, path: string, seconds = 2): Promise<string | undefined> {
  const argv = ['curl', '-sf', '-m', String(seconds), `http://${ip}${path}`]
  const answer = await lab.runInSwitch(argv, { allowFailure: true })
  return answer.status === 0 ? answer.stdout : undefined
}

/** Waits until a page of the guest holds `word`. */
export function guestSays(lab: Lab, ip: string, path: string, word: string): Promise<string> {
  return waitFor(
    `${path} of the guest ${ip} to say ${word}`,
    async () => {
      const text = await askGuest(lab, ip, path, 7)
      return text?.includes(word) ? text : undefined
    },
    { timeoutMs: 60_000, intervalMs: 100 },
  )
}

/** Sends ten echo requests a second until stopped; `stop` tells how many had no answer. */
export function pingGuest(lab: Lab, ip: string) {
  const child = lab.spawnInSwitch(['ping', '-n', '-i', '0.1', ip], { stdio: ['ignore', 'pipe', 'inherit'] })
  const output = collect(child)
  const answers = () => output().match(/bytes from/g)?.length ?? 0
  return {
    /** Waits for an answer that comes after now. */
    answered: async () => {
      const before = answers()
      await waitFor(`an echo of ${ip}`, () => answers() > before, { timeoutMs: 20_000 })
    },
    stop: async () => {
      const ended = once(child, 'close')
      child.kill('SIGINT')
      await ended
      const [, sent = '0', received = '0'] = /(\d+) packets transmitted, (\d+) received/.exec(output()) ?? []
      return { sent: Number(sent), lost: Number(sent) - Number(received) }
    },
  }
}

/** One HTTP answer that never ends: a numbered line every 100 ms. */
export function streamFromGuest(lab: Lab, ip: string) {
  const url = `http://${ip}/cgi-bin/stream`
  const child = lab.spawnInSwitch(['curl', '-sN', url], { stdio: ['ignore', 'pipe', 'inherit'] })
  const output = collect(child)
  const lines = () => output().split('\n').slice(0, -1)
  let arrivedAtMs: number | undefined
  let longestGapMs = 0
  child.stdout?.on('data', () => {
    const now = performance.now()
    longestGapMs = Math.max(longestGapMs, now - (arrivedAtMs ?? now))
    arrivedAtMs = now
  })
  return {
    /** Numbers of the lines so far. */
    numbers: () => lines().map((line) => Number.parseInt(line, 10)),
    isOpen: () => child.exitCode === null && child.signalCode === null,
    longestGapMs: () => Math.round(longestGapMs),
    /** Waits for lines that come after now. */
    goesOn: async () => {
      const before = lines().length
      await waitFor(`the stream of ${ip} to go on`, () => lines().length > before + 2, { timeoutMs: 20_000 })
    },
    stop: async () => {
      const ended = once(child, 'close')
      child.kill('SIGKILL')
      await ended
    },
  }
}

function collect(child: ChildProcess): () => string {
  let text = ''
  ;(child.stdout as Readable).on('data', (data) => {
    text += data
  })
  return () => text
}
