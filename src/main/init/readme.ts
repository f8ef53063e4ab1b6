/** What to do with the files of a new committee, for the people who do it. Pure. */
import { formatTcpAddress } from '../../shared/config/address.js'
import { quorumOf } from '../../shared/config/quorum.js'
import { VERSION } from '../lib/version.js'
import { CONTAINER_USER, TARBALL } from './container.js'
import { type InitHost, portsOfHost } from './hosts.js'
import { CONFIG_DIRECTORY, INSTALL_DIRECTORY, STORE_DIRECTORY } from './node-command.js'
import { UNIT_FILE } from './systemd-unit.js'

/** The folder with those of the hosts. */
export const HOSTS_DIRECTORY = 'hosts'

export interface NamedHost extends InitHost {
  /** The authority's public key, in base64. */
  readonly name: string
}

/** How many of them, whichever they are, may be lost at once while the rest is still a quorum. */
export function lossesSurvived(hosts: readonly Pick<InitHost, 'stake'>[]): number {
  const stakes = hosts.map(({ stake }) => stake).sort((a, b) => b - a)
  let left = stakes.reduce((sum, stake) => sum + stake, 0)
  const quorum = quorumOf(left)
  const survived = stakes.findIndex((stake) => {
    left -= stake
    return left < quorum
  })
  return survived === -1 ? stakes.length : survived
}

/** Beside the folders of the hosts. */
export function committeeReadme(hosts: readonly NamedHost[], workers: number): string {
  const total = hosts.reduce((sum, { stake }) => sum + stake, 0)
  const rows = hosts.map(
    ({ folder, host, name, portFirst, stake }) =>
      `| ${host} | \`${HOSTS_DIRECTORY}/${folder}\` | \`${name}\` | ${stake} | ${portFirst}–${portFirst + portsOfHost(workers) - 1} |`,
  )
  const [first] = hosts as [NamedHost]
  return `# A committee of ${hosts.length} authorities

Made by narval ${VERSION}. A quorum is ${quorumOf(total)} of the stake of ${total}: ${lossesText(hosts)}.

| host | its folder | authority | stake | ports |
|---|---|---|---|---|
${rows.join('\n')}

1. Copy each folder to its own host, and to no other, for example:

   \`\`\`sh
   scp -rp ./${HOSTS_DIRECTORY}/${first.folder} ${scpHost(first.host)}:narval
   \`\`\`

2. On each host, start its authority: the README.md in its folder says how, with systemd or with Docker. The order begins when authorities with a quorum of the stake run.
3. Then remove \`${HOSTS_DIRECTORY}\` here. Who has a folder can sign in the name of its authority. And its \`db\` says that its key has never been used: an authority that was started, and is started again from such a copy, may sign twice and split the order. After a lost disk start with an empty \`db\`. Of \`keys.json\` keep a copy where nobody can start a node with it.

\`committee.json\` has no secret, and is the same on all hosts: whoever verifies the order needs it.
`
}

export function lossesText(hosts: readonly Pick<InitHost, 'host' | 'stake'>[]): string {
  const losses = lossesSurvived(hosts)
  if (losses > 0) return `any ${losses === 1 ? 'one' : losses} of the authorities may be down`
  const largest = hosts.reduce((a, b) => (b.stake > a.stake ? b : a))
  return `without ${largest.host} nothing is ordered`
}

function scpHost(host: string): string {
  return host.includes(':') ? `'[${host}]'` : host
}

/** In the folder of a host. */
export function hostReadme(host: NamedHost, workers: number): string {
  const metricsPort = metricsPortOf(host, workers)
  const metrics = formatTcpAddress({ host: '127.0.0.1', port: metricsPort })
  return `# The authority of ${host.host}

\`${host.name}\`, made by narval ${VERSION}. This folder belongs on ${host.host} and nowhere else: \`keys.json\` is the secret with which the authority signs.

These ports are used:

| port | who has to reach it |
|---|---|
${portRows(host, workers).join('\n')}

## With systemd

Node 20.19 to 24 is at \`/usr/bin/node\`, and narval was built in \`${INSTALL_DIRECTORY}\`. In this folder:

\`\`\`sh
sudo useradd --system --user-group --no-create-home --shell /usr/sbin/nologin narval
sudo install -d -o narval -g narval -m 700 ${CONFIG_DIRECTORY} ${STORE_DIRECTORY}
sudo install -o narval -g narval -m 600 keys.json committee.json parameters.json ${CONFIG_DIRECTORY}
sudo mv -T db ${STORE_DIRECTORY}/db
sudo chown -R narval:narval ${STORE_DIRECTORY}
sudo install -m 644 ${UNIT_FILE} /etc/systemd/system
sudo systemctl daemon-reload
sudo systemctl enable --now narval
\`\`\`

Then remove this folder. \`journalctl -u narval -f\` shows the log.

## With Docker

In this folder, with \`${TARBALL}\` in it, which \`npm pack\` makes where narval was built:

\`\`\`sh
sudo chown -R ${CONTAINER_USER} keys.json db
docker compose up --detach --build
\`\`\`

The image has no key in it. \`docker compose logs -f\` shows the log.

## Does it run?

\`\`\`sh
curl http://${metrics}/readyz
\`\`\`

answers 200 when the authority takes part, and says what is missing otherwise.

\`db\` has the mark of an authority whose key has never been used, which its first start takes away. After a lost disk start with an empty \`db\` and the same \`keys.json\`: never with a copy of this folder's \`db\`. An authority that signs twice can split the order.
`
}

export function metricsPortOf({ portFirst }: Pick<InitHost, 'portFirst'>, workers: number): number {
  return portFirst + portsOfHost(workers) - 1
}

function portRows({ portFirst }: InitHost, workers: number): string[] {
  const rows = [
    [portFirst, 'the primaries of all other authorities'],
    [portFirst + 1, 'nobody: for workers that run in processes of their own'],
  ]
  for (let worker = 0; worker < workers; worker += 1) {
    const port = portFirst + 2 + 3 * worker
    rows.push(
      [port, 'nobody: for primaries of the reference'],
      [port + 1, 'your clients; no authentication, no encryption'],
      [port + 2, `the workers ${worker} of all other authorities`],
    )
  }
  rows.push([portFirst + portsOfHost(workers) - 1, 'this machine alone: metrics and health'])
  return rows.map(([port, who]) => `| ${port} | ${who} |`)
}
