import { connect } from 'node:net'

/** `probe-port.ts ADDRESS PORT`: exit code 0 when something listens there. Run inside the lab's network. */
const [address = '', port = ''] = process.argv.slice(2)
const socket = connect({ host: address, port: Number(port), timeout: 1000 })
socket.once('connect', () => process.exit(0))
socket.once('timeout', () => process.exit(1))
socket.once('error', () => process.exit(1))
