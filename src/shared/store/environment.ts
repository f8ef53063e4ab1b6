/** LMDB as narval's stores open it. */
import { type Database, open, type RootDatabase } from 'lmdb'

export type BinaryDatabase = Database<Uint8Array, Uint8Array>

/** Behind `prepareFile`: LMDB believes what is in the file. @throws what LMDB throws */
export function openEnvironment(directory: string, databasesMax: number): RootDatabase {
  return open({
    path: directory,
    // A directory with dots in its name is still a directory.
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    compression: false,
    maxDbs: databasesMax,
    // New pages are written over in whole: clearing them first costs two thirds of the throughput.
    noMemInit: true,
    // `put(…).flushed` says when that write is on the disk, apart from when it is committed.
    separateFlushed: true,
    // After a power cut LMDB goes back to the newest transaction that was flushed: the boot id in the file differs then.
    // `safeRestore` would do that after kill -9 too, which takes nothing from the page cache.
    safeRestore: false,
  } as Parameters<typeof open>[0]) as RootDatabase
}

/** For a copy of a store that a node may have open: it takes a place in LMDB's lock table. @throws what LMDB throws */
export function openReadOnly(directory: string): RootDatabase {
  return open({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    readOnly: true,
  }) as RootDatabase
}

export function openBinary(root: RootDatabase, name: string): BinaryDatabase {
  return root.openDB<Uint8Array, Uint8Array>({ name, encoding: 'binary', keyEncoding: 'binary' })
}
