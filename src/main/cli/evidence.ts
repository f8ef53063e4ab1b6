/**
 * `evidence`: prints what convicts an authority, from a store, whether a node runs it or not, or from a file that another
 * operator has made of theirs. With the committee file each piece is verified, and nothing else is needed for that.
 */
import { readFileSync, statSync } from 'node:fs'
import { type Committee, committeeDigest, readCommittee } from '../../shared/config/committee.js'
import { writeNewFile } from '../../shared/config/config-file.js'
import { shortName } from '../../shared/config/short-name.js'
import { verifyingCommittee } from '../../shared/config/verifying-committee.js'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import { primaryStoreOf } from '../../shared/store/authority-directories.js'
import { readEvidence } from '../../shared/store/primary/evidence-reader.js'
import { committeeOfEvidence, decodeEvidence, type Evidence } from '../../shared/wire/primary/evidence.js'
import { evidenceText } from '../../shared/wire/primary/evidence-text.js'
import { compareBytes } from '../../shared/wire/primary/record.js'
import { type EvidenceVerdict, verifyEvidence } from '../../shared/wire/primary/verify-evidence.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { EVIDENCE_FILE_BYTES_MAX } from './limits.js'

export interface EvidenceOptions {
  /** One of them. */
  readonly store?: string
  readonly file?: string
  readonly committee?: string
  /** A new file that takes what `--json` prints. */
  readonly out?: string
  readonly json: boolean
}

interface Piece {
  readonly record: Uint8Array
  readonly evidence: Evidence
  /** Undefined without a committee. */
  readonly verdict: EvidenceVerdict | undefined
}

/** Returns the exit code: 1 if one is not valid. */
export function printEvidence({ committee: path, file, json, out, store }: EvidenceOptions): number {
  if ((store === undefined) === (file === undefined)) {
    throw new NarvalError('ERR_USAGE', 'evidence: give either --store or --file (see --help)')
  }
  if (file !== undefined && path === undefined) {
    throw new NarvalError('ERR_USAGE', 'evidence: a --file is worth nothing without --committee, which verifies it')
  }
  const committee = path === undefined ? undefined : readCommittee(path)
  const { authorities, records } = store === undefined ? ofFile(file!, committee!) : ofStore(store, committee)
  const verifying = committee && verifyingCommittee(committee)
  const pieces = records.map((record): Piece => {
    const evidence = decodeEvidence(record, authorities)
    return { record, evidence, verdict: verifying && verifyEvidence(evidence, verifying) }
  })
  const lines = pieces.map((piece) => `${JSON.stringify(jsonOf(piece, committee))}\n`).join('')
  if (out !== undefined) writeNewFile(out, lines)
  if (json) process.stdout.write(lines)
  else process.stdout.write(`${pieces.map((piece) => textOf(piece, committee)).join('')}${sumOf(pieces, out)}\n`)
  return pieces.every(({ verdict }) => verdict?.isValid ?? true) ? 0 : EXIT_FAILURE
}

interface Records {
  /** In the committee. */
  readonly authorities: number
  readonly records: readonly Uint8Array[]
}

function ofStore(store: string, committee: Committee | undefined): Records {
  const { records, settings } = readEvidence(primaryStoreOf(store))
  if (committee !== undefined) demandCommittee(committee, Buffer.from(settings.committeeDigest, 'hex'), store)
  return { authorities: settings.authorities, records }
}

/** One object of JSON in each line; only what it has as `record` counts, since all else can be read in that. */
function ofFile(path: string, committee: Committee): Records {
  const records = linesOf(path).map(([number, line]) => {
    const where = `line ${number} of ${path}`
    try {
      const { record } = JSON.parse(line) as { readonly record?: unknown }
      if (typeof record !== 'string') throw new SyntaxError('it has no `record` in base64')
      const bytes = new Uint8Array(Buffer.from(record, 'base64'))
      demandCommittee(committee, committeeOfEvidence(bytes), where)
      decodeEvidence(bytes, committee.size)
      return bytes
    } catch (error) {
      const isTheirs = error instanceof SyntaxError || (error instanceof NarvalError && error.code === 'ERR_CODEC')
      if (!isTheirs) throw error
      throw new NarvalError('ERR_FILE_MALFORMED', `${where} is no evidence: ${(error as Error).message}`)
    }
  })
  return { authorities: committee.size, records }
}

function linesOf(path: string): (readonly [number: number, line: string])[] {
  let text: string
  try {
    const { size } = statSync(path)
    if (size > EVIDENCE_FILE_BYTES_MAX) {
      throw new NarvalError('ERR_FILE_MALFORMED', `${path} has ${size} bytes, at most ${EVIDENCE_FILE_BYTES_MAX}`)
    }
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof NarvalError) throw error
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new NarvalError(
      isMissing ? 'ERR_FILE_MISSING' : 'ERR_FILE_UNREADABLE',
      `cannot read ${path}: ${(error as Error).message}: give the file that \`evidence --out\` has made`,
    )
  }
  const lines = text.split('\n').map((line, at) => [at + 1, line] as const)
  return lines.filter(([, line]) => line.trim() !== '')
}

function demandCommittee(committee: Committee, digest: Uint8Array, where: string): void {
  if (compareBytes(committeeDigest(committee), digest) === 0) return
  throw new NarvalError(
    'ERR_STORE_SETTINGS',
    `${where} is about another committee than that of the --committee file: give the file that it ran with, keys, stakes and workers`,
  )
}

function jsonOf({ evidence, record, verdict }: Piece, committee: Committee | undefined): object {
  const { accused, committee: digest, epoch, kind, round } = evidence
  return {
    kind,
    accused,
    ...(committee && { authority: committee.authority(accused).name }),
    epoch,
    round,
    committee: Buffer.from(digest).toString('hex'),
    ...(verdict && { valid: verdict.isValid }),
    ...(verdict && (verdict.isValid ? { convicted: verdict.convicted } : { why: verdict.why })),
    record: encodeBase64(record),
  }
}

function textOf({ evidence, verdict }: Piece, committee: Committee | undefined): string {
  const { accused, kind, round } = evidence
  const nameOf = (index: number): string => committee?.authority(index).name ?? `authority ${index}`
  const text = `${kind.padEnd(12)}  ${evidenceText(kind, shortName(nameOf(accused)), round)}\n`
  return `${text}${''.padEnd(12)}  ${verdict === undefined ? 'not verified: give --committee' : verdictText(verdict, nameOf)}\n`
}

function verdictText(verdict: EvidenceVerdict, nameOf: (index: number) => string): string {
  if (!verdict.isValid) return `NOT VALID: ${verdict.why}`
  if (verdict.convicted.length === 0) return 'verified: its signature is valid, and the store has nothing of that round'
  return `verified: signed twice by ${verdict.convicted.map(nameOf).join(', ')}`
}

function sumOf(pieces: readonly Piece[], out: string | undefined): string {
  const count = pieces.length === 0 ? 'no evidence' : `${pieces.length} ${pieces.length === 1 ? 'piece' : 'pieces'}`
  const bad = pieces.filter(({ verdict }) => verdict !== undefined && !verdict.isValid).length
  return `${count}${bad === 0 ? '' : `, ${bad} not valid`}${out === undefined ? '' : `, in ${out}`}`
}
