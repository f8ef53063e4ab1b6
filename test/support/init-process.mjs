/** A process that makes the files of a committee, as `init` does. It is killed somewhere (preload/steps.c). */
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { parseHosts } from '../../dist/main/init/hosts.js'
import { makeCommittee } from '../../dist/main/init/init.js'

const { directory } = JSON.parse(process.argv[2])
const hosts = parseHosts({ hosts: 'a.example,b.example,c.example,d.example', workers: 1, basePort: 4000 })
await makeCommittee({ hosts, workers: 1, out: join(directory, 'committee'), signal: new AbortController().signal })
writeSync(1, 'done\n')
