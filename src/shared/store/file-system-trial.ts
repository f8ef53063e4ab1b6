/** Run as a process: has LMDB make an environment in the directory that it is given, write to it and flush it. */
import { open } from 'lmdb'

const database = open({ path: process.argv[2]!, noSubdir: false, encoding: 'binary', keyEncoding: 'binary' })
await database.put(Buffer.from('key'), Buffer.from('value'))
await database.flushed
await database.close()
