/** The files with which Docker runs an authority. Pure. */
import { VERSION } from '../lib/version.js'
import {
  CONFIG_DIRECTORY,
  INSTALL_DIRECTORY,
  NODE_MAJOR,
  OPEN_FILES,
  runArguments,
  STOP_S,
  STORE_DIRECTORY,
  THREADPOOL_SIZE,
  V8_FLAGS,
} from './node-command.js'

/** What `npm pack` makes of this version. */
export const TARBALL = `narval-node-${VERSION}.tgz`
/** The user `node` of Node's images. */
export const CONTAINER_USER = '1000:1000'

/** The image has narval and nothing of the authority: keys and store stay on the host. */
export function dockerfile(metricsPort: number): string {
  const program = ['node', ...V8_FLAGS, `${INSTALL_DIRECTORY}/node_modules/narval-node/dist/node.js`]
  return `# Beside this file lies ${TARBALL}: \`npm pack\` makes it where narval was built.
FROM node:${NODE_MAJOR}-bookworm-slim
WORKDIR ${INSTALL_DIRECTORY}
COPY ${TARBALL} ./
RUN npm install --omit=dev --no-audit --no-fund ./${TARBALL} && npm cache clean --force
ENV UV_THREADPOOL_SIZE=${THREADPOOL_SIZE}
USER node
WORKDIR ${CONFIG_DIRECTORY}
ENTRYPOINT ${JSON.stringify(program)}
CMD ${JSON.stringify(runArguments(metricsPort))}
`
}

/** What the build of the image gets to see: no key. */
export function dockerIgnore(): string {
  return `*\n!${TARBALL}\n`
}

export function composeFile(): string {
  return `# docker compose up --detach --build
name: narval
services:
  authority:
    build: .
    image: narval-node:${VERSION}
    # Peers and strangers are told apart by their addresses, which a bridge of Docker's would hide.
    network_mode: host
    user: "${CONTAINER_USER}"
    init: true
    restart: unless-stopped
    stop_grace_period: ${STOP_S}s
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    ulimits:
      nofile: ${OPEN_FILES}
    volumes:
      - ./keys.json:${CONFIG_DIRECTORY}/keys.json:ro
      - ./committee.json:${CONFIG_DIRECTORY}/committee.json:ro
      - ./parameters.json:${CONFIG_DIRECTORY}/parameters.json:ro
      - ./db:${STORE_DIRECTORY}/db
`
}
