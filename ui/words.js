/** Every word the pages show, in English and Chinese. The browser's language chooses. */
const english = {
  title: 'ZStack cloud',
  account: 'Account',
  password: 'Password',
  logIn: 'Log in',
  logOut: 'Log out',
  loggingIn: 'Logging in…',
  wrongLogin: 'Account or password is wrong.',
  sessionOver: 'The session is over. Log in again.',
  defaultPassword:
    'The admin account still has the default password. Anyone who can reach this page can log in.',
  changePassword: 'Change password',
  newPassword: 'New password',
  repeatPassword: 'Repeat it',
  passwordsDiffer: 'The two passwords are not the same.',
  passwordTooShort: 'Take at least 8 characters, and not the default.',
  passwordChanged: 'The password was changed.',
  cancel: 'Cancel',
  save: 'Save',
  dismiss: 'Dismiss',
  version: 'Version',
  uptime: 'Up',
  stuck: 'Stuck work',
  stuckHint:
    'These operations failed, and what they had done could not be taken back yet. It is tried again every 30 seconds and whenever a host connects.',
  operation: 'Operation',
  step: 'Step',
  reason: 'Reason',
  age: 'Age',
  begunBy: 'It was rolled back because: {cause}',
  retry: 'Retry',
  abandon: 'Abandon',
  retryOf: 'Retry taking back {name}',
  abandonOf: 'Abandon {name}',
  abandonNow:
    'Abandon {name}? The cloud then forgets what these steps left, and nobody removes it: {steps}. Do this only when you have taken care of it yourself.',
  retried: '{name} was taken back; nothing of it is left.',
  abandoned: '{name} was abandoned. Left behind: {steps}. The log of the management node has the details.',
  hosts: 'Hosts',
  primaryStorage: 'Primary storage',
  backupStorage: 'Backup storage',
  vms: 'Virtual machines',
  tasks: 'Running tasks',
  noHosts: 'No hosts yet. Add one with: zstack-cli AddKVMHost',
  noPrimaryStorage: 'No primary storage yet. VMs need one for their disks.',
  noBackupStorage: 'No backup storage yet. Images are kept there.',
  noVms: 'No virtual machines yet. Make one with: zstack-cli CreateVmInstance',
  noTasks: 'Nothing is running.',
  cpu: 'CPU',
  memory: 'Memory',
  space: 'Space',
  usedOf: '{used} of {total} used',
  name: 'Name',
  state: 'State',
  host: 'Host',
  ip: 'IP address',
  size: 'Size',
  actions: 'Actions',
  sizeOf: '{cpus} CPU, {memory}',
  console: 'Console',
  start: 'Start',
  stop: 'Stop',
  consoleOf: 'Open the console of {name}',
  startOf: 'Start {name}',
  stopOf: 'Stop {name}',
  stopNow: 'Stop {name}? The guest is asked to shut down; its power is cut when it does not.',
  working: 'Working…',
  failed: '{what} failed: {why}',
  noAnswer: 'The management node does not answer. Is it running? Trying again every 2 seconds.',
  popupBlocked: 'The browser blocked the console window. Allow pop-ups for this page and try again.',
  updated: 'Updated {time}',
  stale: 'Not updated since {time}',
  connecting: 'Connecting…',
  connected: 'Connected',
  disconnected: 'Disconnected',
  consoleTitle: 'Console',
  ctrlAltDel: 'Send Ctrl-Alt-Del',
  fullscreen: 'Full screen',
  scale: 'Fit to window',
  reconnect: 'Reconnect',
  reconnectHint: 'Reconnect asks for a new pass and opens the screen again.',
  reopenHint: 'Open the console again from the list of virtual machines.',
  noToken: 'This page needs a console token. Open the console from the list of virtual machines.',
  refused: 'The connection was refused. A console link works once and for a minute: open the console again.',
  guestPassword: 'Password of this console',
  wrongGuestPassword: 'The password of the console is wrong.',
  send: 'Send',
  'state.Running': 'Running',
  'state.Stopped': 'Stopped',
  'state.Connected': 'Connected',
}

const chinese = {
  title: 'ZStack 云平台',
  account: '账户',
  password: '密码',
  logIn: '登录',
  logOut: '退出',
  loggingIn: '正在登录…',
  wrongLogin: '账户或密码错误。',
  sessionOver: '会话已失效，请重新登录。',
  defaultPassword: 'admin 账户仍在使用默认密码，任何能访问此页面的人都可以登录。',
  changePassword: '修改密码',
  newPassword: '新密码',
  repeatPassword: '再次输入',
  passwordsDiffer: '两次输入的密码不一致。',
  passwordTooShort: '密码至少 8 个字符，且不能是默认密码。',
  passwordChanged: '密码已修改。',
  cancel: '取消',
  save: '保存',
  dismiss: '关闭',
  version: '版本',
  uptime: '已运行',
  stuck: '卡住的操作',
  stuckHint: '以下操作失败，且尚未能回滚。系统每 30 秒以及每当有物理机连接时会自动重试。',
  operation: '任务',
  step: '步骤',
  reason: '原因',
  age: '持续时间',
  begunBy: '回滚的起因：{cause}',
  retry: '重试',
  abandon: '放弃',
  retryOf: '重试回滚 {name}',
  abandonOf: '放弃 {name}',
  abandonNow: '放弃 {name}？系统将不再清理以下步骤留下的内容：{steps}。请仅在您已自行处理后执行。',
  retried: '{name} 已完成回滚，没有任何残留。',
  abandoned: '已放弃 {name}。残留的步骤：{steps}。详情见管理节点日志。',
  hosts: '物理机',
  primaryStorage: '主存储',
  backupStorage: '镜像服务器',
  vms: '云主机',
  tasks: '正在执行的任务',
  noHosts: '还没有物理机。可用命令添加：zstack-cli AddKVMHost',
  noPrimaryStorage: '还没有主存储。云主机的磁盘需要主存储。',
  noBackupStorage: '还没有镜像服务器。镜像保存在镜像服务器中。',
  noVms: '还没有云主机。可用命令创建：zstack-cli CreateVmInstance',
  noTasks: '没有正在执行的任务。',
  cpu: 'CPU',
  memory: '内存',
  space: '容量',
  usedOf: '已用 {used}，共 {total}',
  name: '名称',
  state: '状态',
  host: '物理机',
  ip: 'IP 地址',
  size: '规格',
  actions: '操作',
  sizeOf: '{cpus} 核 CPU，{memory}',
  console: '控制台',
  start: '启动',
  stop: '停止',
  consoleOf: '打开 {name} 的控制台',
  startOf: '启动 {name}',
  stopOf: '停止 {name}',
  stopNow: '停止 {name}？系统会请求客户机关机，若无响应则强制断电。',
  working: '处理中…',
  failed: '{what}失败：{why}',
  noAnswer: '管理节点没有响应，请确认其正在运行。每 2 秒重试一次。',
  popupBlocked: '浏览器拦截了控制台窗口。请允许此页面弹出窗口后重试。',
  updated: '更新于 {time}',
  stale: '自 {time} 起未更新',
  connecting: '正在连接…',
  connected: '已连接',
  disconnected: '已断开',
  consoleTitle: '控制台',
  ctrlAltDel: '发送 Ctrl-Alt-Del',
  fullscreen: '全屏',
  scale: '适应窗口',
  reconnect: '重新连接',
  reconnectHint: '重新连接会申请新的凭证并再次打开屏幕。',
  reopenHint: '请从云主机列表重新打开控制台。',
  noToken: '此页面需要控制台凭证，请从云主机列表打开控制台。',
  refused: '连接被拒绝。控制台链接一分钟内有效且只能使用一次，请重新打开控制台。',
  guestPassword: '此控制台的密码',
  wrongGuestPassword: '控制台密码错误。',
  send: '发送',
  'state.Running': '运行中',
  'state.Stopped': '已停止',
  'state.Starting': '启动中',
  'state.Stopping': '停止中',
  'state.Created': '已创建',
  'state.Paused': '已暂停',
  'state.Rebooting': '重启中',
  'state.Migrating': '迁移中',
  'state.Destroyed': '已删除',
  'state.Unknown': '未知',
  'state.Connected': '已连接',
  'state.Connecting': '连接中',
  'state.Disconnected': '失联',
  'state.Enabled': '启用',
  'state.Disabled': '停用',
  'state.Maintenance': '维护模式',
  'state.PreMaintenance': '准备维护',
}

export const language = /^zh\b/i.test(navigator.language) ? 'zh-CN' : 'en'
export const languages = { en: english, 'zh-CN': chinese }
const words = languages[language]

/** The text of a word, with `{names}` filled in. */
export function word(name, values = {}) {
  return (words[name] ?? english[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? '')
}

/** A state in the reader's language; one we have no word for is shown as the API names it. */
export function stateWord(state) {
  return words[`state.${state}`] ?? state
}

/** Fills the words into elements marked `data-word`, and into labels and titles marked `data-label-word`. */
export function translatePage() {
  document.documentElement.lang = language
  for (const node of document.querySelectorAll('[data-word]')) node.textContent = word(node.dataset.word)
  for (const node of document.querySelectorAll('[data-label-word]')) {
    node.setAttribute('aria-label', word(node.dataset.labelWord))
    node.title = word(node.dataset.labelWord)
  }
}

/** 93784 s -> `1 d 2 h`: the two largest units. */
export function duration(seconds) {
  const names = language === 'en' ? [' d', ' h', ' min', ' s'] : [' 天', ' 小时', ' 分', ' 秒']
  const whole = Math.max(0, Math.floor(seconds))
  const parts = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ]
  const first = parts.findIndex((part) => part > 0)
  if (first < 0) return `0${names[3]}`
  return parts
    .map((part, i) => `${part}${names[i]}`)
    .slice(first, first + 2)
    .join(' ')
}
