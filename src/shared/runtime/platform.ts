/** What this machine, its Node or the installation may lack, as one line that says what to do. */
import { NarvalError } from '../errors.js'

const NODE_MAJOR_MIN = 20
const NODE_MIN = '20.19'

/** Native parts that were not installed, or not for this machine: how the packages that we use say so. */
const NATIVE_MISSING = [
  // node-gyp-build-optional-packages, of lmdb and msgpackr
  /No native build was found/,
  // require-addon, of fs-native-extensions
  /Cannot find addon /,
  // The dynamic linker: another C library, or one that is too old.
  /ERR_DLOPEN_FAILED|invalid ELF header|version `\w+_[\d.]+' not found|wrong ELF class/,
]

/** Why narval cannot run here at all; undefined if it can. */
export function refusedPlatform(nodeVersion: string, isFrozen: boolean): NarvalError | undefined {
  if (Number(nodeVersion.split('.')[0]) < NODE_MAJOR_MIN) {
    return new NarvalError('ERR_PLATFORM', `Node ${nodeVersion} is too old: narval needs ${NODE_MIN} or later`)
  }
  if (!isFrozen) return undefined
  return new NarvalError(
    'ERR_PLATFORM',
    'the intrinsics of JavaScript are frozen, and libp2p needs what Node 20 lacks of them: start Node without --frozen-intrinsics (and look into NODE_OPTIONS), and load narval before anything that freezes them',
  )
}

/** The same for this process. */
export function refusedHere(): NarvalError | undefined {
  return refusedPlatform(process.versions.node, Object.isFrozen(Promise))
}

/** What an error means that says what this machine lacks, a native part or memory; undefined for any other error. */
export function platformProblem(error: unknown): NarvalError | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof RangeError && /out of memory|allocation failed/i.test(error.message)) {
    return new NarvalError('ERR_PLATFORM', `not enough memory for a node (${error.message}): give the process more`, {
      cause: error,
    })
  }
  const text = `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`
  if (!NATIVE_MISSING.some((pattern) => pattern.test(text))) return undefined
  const { arch, platform, versions } = process
  const [first] = error.message.split('\n') as [string]
  return new NarvalError(
    'ERR_PLATFORM',
    `a native part is not there for ${platform} on ${arch} with Node ${versions.node} (${first}): install narval anew on this machine, with optional dependencies (npm ci, without --omit=optional)`,
    { cause: error },
  )
}
