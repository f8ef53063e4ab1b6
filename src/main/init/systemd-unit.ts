/** The unit with which systemd runs an authority. Pure. */
import {
  CONFIG_DIRECTORY,
  INSTALL_DIRECTORY,
  OPEN_FILES,
  runArguments,
  STOP_S,
  STORE_DIRECTORY,
  THREADPOOL_SIZE,
  V8_FLAGS,
} from './node-command.js'

export const UNIT_FILE = 'narval.service'

/** Characters of a line of the unit. */
const WIDTH = 120

export function systemdUnit(metricsPort: number): string {
  const command = ['/usr/bin/node', ...V8_FLAGS, `${INSTALL_DIRECTORY}/dist/node.js`, ...runArguments(metricsPort)]
  return `# /etc/systemd/system/${UNIT_FILE}: systemctl enable --now narval
[Unit]
Description=narval authority
Wants=network-online.target
After=network-online.target

[Service]
# Its own are keys.json, which nobody else can read, and the store: make them as this user, or \`chown\` them.
User=narval
WorkingDirectory=${CONFIG_DIRECTORY}
StateDirectory=${STORE_DIRECTORY.split('/').at(-1)}
# Without these flags narval would start itself once more, with them.
${lines(`ExecStart=${command[0]}`, command.slice(1))}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
TimeoutStopSec=${STOP_S}
LimitNOFILE=${OPEN_FILES}
# For names that no server answers for: each holds a thread of this pool for a while. Where narval starts itself once
# more it sets this, unless you have: your own value stays.
Environment=UV_THREADPOOL_SIZE=${THREADPOOL_SIZE}
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true

[Install]
WantedBy=multi-user.target
`
}

/** Words on lines that end in a backslash, but for the last. A flag is on the same line as its value. */
function lines(first: string, words: readonly string[]): string {
  const done: string[] = []
  let line = first
  for (const pair of pairs(words)) {
    if (line.length + pair.length + ' '.length + ' \\'.length > WIDTH) {
      done.push(`${line} \\`)
      line = `  ${pair}`
    } else line = `${line} ${pair}`
  }
  return [...done, line].join('\n')
}

function pairs(words: readonly string[]): string[] {
  const found: string[] = []
  for (const word of words) {
    const before = found.at(-1)
    const isValue = before !== undefined && /^--[a-z]+$/.test(before) && !word.startsWith('-')
    if (isValue) found[found.length - 1] = `${before} ${word}`
    else found.push(word)
  }
  return found
}
