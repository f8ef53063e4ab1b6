/**
 * A Merkle mountain range over the records of the log, in order: a root for each length of the log, which follows from the
 * one before without reading it, and proofs of logarithmic length that a record is in its place under a root.
 *
 * ```
 *  height 2              ┌──── 4 ────┐                       7 records: three mountains, of 4, 2 and 1
 *  height 1          ┌── 2 ──┐   ┌── 4 ──┐   ┌── 6 ──┐
 *  height 0          1       2   3       4   5       6   7   a node is named by its last record and its height
 *
 *  leaf     SHA-256("narval/range/leaf/v1", zeros to 32 ‖ digest of the record 32)
 *  node     SHA-256("narval/range/node/v1", zeros to 32 ‖ left 32 ‖ right 32)
 *  bag      of the peaks, from the right: node(peak 1, node(peak 2, peak 3)); one peak is its own bag
 *  root     SHA-256("narval/range/root/v1", zeros to 32 ‖ count of records u64 LE ‖ bag 32)
 * ```
 *
 * Record n completes the nodes of heights 0 to z, where 2ᶻ is the largest power of two that divides n. They are kept
 * together, so there is one entry for each record, and all nodes of a range of m records lie in the entries up to m.
 *
 * All functions are pure. The hash is handed in, so that a browser can verify with its own.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import { RANGE_LEVELS_MAX } from './limits.js'
import { domain, writeWhole } from './record.js'

const LEAF = domain('narval/range/leaf/v1')
const NODE = domain('narval/range/node/v1')
const ROOT = domain('narval/range/root/v1')

/** SHA-256 of these bytes, one behind another. */
export type Hash = (...parts: readonly Uint8Array[]) => Uint8Array

export interface MountainRange {
  /** Records in it. */
  readonly count: number
  /** The tops of its mountains, the highest first: one for each bit of `count`. */
  readonly peaks: readonly Uint8Array[]
}

export const EMPTY_RANGE: MountainRange = { count: 0, peaks: [] }

/** A node, by the last record below it and its height. */
export interface NodePlace {
  readonly record: number
  readonly height: number
}

/**
 * The range with one more record.
 *
 * @param digest of the record, 32 bytes
 * @returns `nodes` are those that it completes, from height 0 upwards
 */
export function append(
  hash: Hash,
  { count, peaks }: MountainRange,
  digest: Uint8Array,
): { readonly range: MountainRange; readonly nodes: readonly Uint8Array[] } {
  assert(digest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  const left = [...peaks]
  const nodes = [hash(LEAF, digest)]
  for (let height = heightOf(count + 1); height > 0; height -= 1) nodes.push(hash(NODE, left.pop()!, nodes.at(-1)!))
  return { range: { count: count + 1, peaks: [...left, nodes.at(-1)!] }, nodes }
}

/** Names all records of the range, their order and their number. */
export function rangeRoot(hash: Hash, { count, peaks }: MountainRange): Uint8Array {
  assert(count >= 1, 'a range with a record')
  return rootOf(hash, count, bag(hash, peaks))
}

/** Where the peaks of a range of so many records are, the highest first. */
export function peakPlaces(count: number): NodePlace[] {
  const places: NodePlace[] = []
  let record = 0
  for (let height = RANGE_LEVELS_MAX; height >= 0; height -= 1) {
    if (record + 2 ** height > count) continue
    record += 2 ** height
    places.push({ record, height })
  }
  return places
}

/**
 * The proof that a record is in its place in a range of so many records: the nodes beside its way to the peak, from below;
 * the bag of the peaks to the right, if there are any; the peaks to the left, from the nearest.
 *
 * @param record its number, from 1
 * @param nodeAt reads a node
 */
export function prove(
  hash: Hash,
  record: number,
  count: number,
  nodeAt: (place: NodePlace) => Uint8Array,
): Uint8Array[] {
  const { places, mountain } = mountainOf(record, count)
  const peak = places[mountain]!
  const before = peak.record - 2 ** peak.height
  const proof = siblings(record - before, peak.height).map(({ height, record }) =>
    nodeAt({ height, record: before + record }),
  )
  const right = places.slice(mountain + 1).map(nodeAt)
  if (right.length > 0) proof.push(bag(hash, right))
  for (let at = mountain - 1; at >= 0; at -= 1) proof.push(nodeAt(places[at]!))
  return proof
}

/** Nodes of the proof of a record in a range of so many. */
export function proofLength(record: number, count: number): number {
  const { places, mountain } = mountainOf(record, count)
  return places[mountain]!.height + mountain + (mountain < places.length - 1 ? 1 : 0)
}

export interface InclusionClaim {
  /** The number of the record, from 1. */
  readonly record: number
  /** Of the record, 32 bytes. */
  readonly digest: Uint8Array
  /** Records in the range. */
  readonly count: number
  /** Of the range, 32 bytes. */
  readonly root: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** Whether the proof shows that the record is in its place. What is no proof at all shows nothing: it never throws. */
export function verifyInclusion(hash: Hash, { count, digest, proof, record, root }: InclusionClaim): boolean {
  if (!Number.isSafeInteger(record) || !Number.isSafeInteger(count) || record < 1 || record > count) return false
  if (proof.length !== proofLength(record, count)) return false
  if (![digest, root, ...proof].every(({ length }) => length === DIGEST_BYTES)) return false
  const { places, mountain } = mountainOf(record, count)
  const { height, record: last } = places[mountain]!
  let node = hash(LEAF, digest)
  let at = 0
  for (const { isLeft } of siblings(record - (last - 2 ** height), height)) {
    node = isLeft ? hash(NODE, proof[at]!, node) : hash(NODE, node, proof[at]!)
    at += 1
  }
  if (mountain < places.length - 1) {
    node = hash(NODE, node, proof[at]!)
    at += 1
  }
  for (; at < proof.length; at += 1) node = hash(NODE, proof[at]!, node)
  const found = rootOf(hash, count, node)
  return found.every((byte, at) => byte === root[at])
}

/** The height of the highest node that a record completes. */
export function heightOf(record: number): number {
  let height = 0
  for (let rest = record; rest % 2 === 0; rest /= 2) height += 1
  return height
}

/**
 * The entries that no proof of a later record needs, once the records up to this one are gone and those up to the one
 * before were gone already: what is to the left of all that is left stands under its peaks.
 */
export function entriesDone(record: number): number[] {
  return Array.from({ length: heightOf(record) }, (_, height) => record - 2 ** height)
}

/** The mountain that a record is in. */
function mountainOf(record: number, count: number): { readonly places: NodePlace[]; readonly mountain: number } {
  assert(record >= 1 && record <= count, 'a record of the range')
  const places = peakPlaces(count)
  return { places, mountain: places.findIndex((place) => place.record >= record) }
}

/** Beside the way from a record of one mountain to its peak, from below; records are counted from that mountain's first. */
function siblings(record: number, height: number): (NodePlace & { readonly isLeft: boolean })[] {
  return Array.from({ length: height }, (_, level) => {
    const node = Math.ceil(record / 2 ** level)
    const isLeft = node % 2 === 0
    return { height: level, record: (isLeft ? node - 1 : node + 1) * 2 ** level, isLeft }
  })
}

function bag(hash: Hash, peaks: readonly Uint8Array[]): Uint8Array {
  return peaks.reduceRight((right, left) => hash(NODE, left, right))
}

function rootOf(hash: Hash, count: number, bag: Uint8Array): Uint8Array {
  const length = new Uint8Array(8)
  writeWhole(new DataView(length.buffer), 0, count)
  return hash(ROOT, length, bag)
}
