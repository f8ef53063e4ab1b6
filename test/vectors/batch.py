#!/usr/bin/env python3
"""Writes batch.json: batches, digests, proofs and ACK records, as docs/protocol.md says they are.

Nothing of narval's code is used: what agrees with these vectors agrees with the document.

    python3 test/vectors/batch.py > test/vectors/batch.json
"""
import hashlib
import json
import struct

AUTHOR = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
OTHER_AUTHOR = "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
CHUNK = 4096
PAGE = 16
ZEROS = bytes(32)
DOMAIN = b"narval/batch/v2".ljust(32, b"\0")

NOTE = (
    "Batches, digests, proofs and ACK records as docs/protocol.md defines them, computed by an independent "
    "implementation (batch.py). Byte j of transaction i of a batch is (7 i + j + floor(j / 251)) mod 256. Bytes are hex, "
    "u64 decimal strings. The chunk of a proof is chunk_bytes of the batch's own bytes, from chunk_start on."
)

BATCHES = [
    ("one transaction of one byte", 0, 1, [1], AUTHOR),
    ("three short transactions", 3, 1876951040000000005, [1, 9, 512], AUTHOR),
    ("the same, of another author", 3, 1876951040000000005, [1, 9, 512], OTHER_AUTHOR),
    ("exactly one chunk", 0, 2, [4028], AUTHOR),
    ("one byte more than 4096", 0, 3, [4029], AUTHOR),
    ("four chunks, one of them a long frame", 0, 4, [3000, 500, 9000, 500], AUTHOR),
    ("a frame of just less than two stretches, with the one before it", 0, 10, [6, 8100, 6], AUTHOR),
    ("frames that start with a stretch", 1, 5, [4028, 4092, 4092], AUTHOR),
    ("a frame that starts one byte before the next stretch", 0, 6, [4027, 300], AUTHOR),
    ("one transaction over eighteen stretches, so that a page is empty", 7, 7, [70000], AUTHOR),
    ("a long transaction between short ones, over two pages", 0, 8, [100, 69000, 20, 3], AUTHOR),
    ("five pages, so that three nodes are filling", 0, 9, [6] * 200 + [512] * 560, AUTHOR),
    ("forty transactions of 512 bytes", 0, 2**64 - 1, [512] * 40, AUTHOR),
]


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def transaction(index, length):
    return bytes((7 * index + j + j // 251) % 256 for j in range(length))


def encode(worker_id, sequence, transactions):
    body = b"".join(struct.pack(">I", len(each)) + each for each in transactions)
    header = b"NRVB" + struct.pack("<HHIIQQQ", 2, 0, worker_id, len(transactions), len(body), sequence, 0)
    return header + bytes(24) + body


def frame_starts(batch):
    at, starts = 64, []
    while at < len(batch):
        starts.append(at)
        at += 4 + struct.unpack_from(">I", batch, at)[0]
    return starts


def chunks_of(batch, starts):
    """For each stretch its chunk, as (from, to); None if it is empty."""
    stretches = [[] for _ in range(-(-len(batch) // CHUNK))]
    for start in starts:
        stretches[start // CHUNK].append(start)
    end_of = dict(zip(starts, starts[1:] + [len(batch)]))
    moved = {}
    for k, frames in enumerate(stretches[:-1]):
        if frames and not stretches[k + 1]:
            moved[k + 1] = frames.pop()
    chunks = []
    for k, frames in enumerate(stretches):
        if k in moved:
            frames = [moved[k]]
        begin = 0 if k == 0 else frames[0] if frames else None
        end = end_of[frames[-1]] if frames else 64
        chunks.append(None if begin is None else (begin, end))
    return chunks


def levels_of(pages):
    level = list(pages)
    while len(level) & (len(level) - 1):
        level.append(ZEROS)
    levels = [level]
    while len(level) > 1:
        level = [sha256(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        levels.append(level)
    return levels


def vector(name, worker_id, sequence, lengths, author):
    batch = encode(worker_id, sequence, [transaction(i, length) for i, length in enumerate(lengths)])
    starts = frame_starts(batch)
    chunks = chunks_of(batch, starts)
    hashes = [sha256(batch[chunk[0] : chunk[1]]) if chunk else ZEROS for chunk in chunks]
    pages = [sha256(bytes(4), *hashes[i : i + PAGE]) for i in range(0, len(hashes), PAGE)]
    levels = levels_of(pages)
    root = levels[-1][0]
    digest = sha256(DOMAIN, bytes.fromhex(author), struct.pack("<Q", len(batch)), root)

    def proof(index):
        chunk = next(k for k, each in enumerate(chunks) if each and each[0] <= starts[index] < each[1])
        begin, end = chunks[chunk]
        page = chunk // PAGE
        path, node = [], page
        for level in levels[:-1]:
            path.append(level[node ^ 1])
            node //= 2
        beside = hashes[page * PAGE : chunk] + hashes[chunk + 1 : (page + 1) * PAGE]
        offset = starts[index] - begin
        head = struct.pack("<BIII", 2, len(batch), chunk, offset)
        encoded = b"".join([head, *beside, *path, batch[begin:end]])
        return {
            "index": index,
            "chunk_index": chunk,
            "frame_offset": offset,
            "chunk_start": begin,
            "chunk_bytes": end - begin,
            "page": [each.hex() for each in beside],
            "path": [each.hex() for each in path],
            "encoded_sha256": sha256(encoded).hex(),
        }

    count = len(lengths)
    proven = range(count) if count <= 3 else [0, count // 2, count - 1]
    result = {
        "name": name,
        "worker_id": worker_id,
        "sequence": str(sequence),
        "transaction_lengths": lengths,
        "author": author,
        "batch_bytes": len(batch),
        "batch_sha256": sha256(batch).hex(),
        "chunk_starts": [chunk[0] if chunk else None for chunk in chunks],
        "chunk_hashes": [each.hex() for each in hashes],
        "pages": [each.hex() for each in pages],
        "root": root.hex(),
        "digest": digest.hex(),
        "proofs": [proof(index) for index in proven],
    }
    if len(batch) <= 1024:
        result["batch"] = batch.hex()
    return result


def ack(name, sequence, digest, level, status):
    record = struct.pack("<Q", sequence) + digest + bytes([level, status]) + bytes(6)
    return {
        "name": name,
        "sequence": str(sequence),
        "digest": digest.hex(),
        "level": level,
        "status": status,
        "record": record.hex(),
    }


def main():
    batches = [vector(*each) for each in BATCHES]
    digest = bytes.fromhex(batches[0]["digest"])
    acks = [
        ack("stored", 1, digest, 1, 0),
        ack("durable", 2**64 - 1, digest, 2, 0),
        ack("refused as invalid", 258, ZEROS, 2, 1),
        ack("refused for quota", 3, ZEROS, 1, 2),
        ack("refused, store full", 4, ZEROS, 2, 3),
    ]
    print(json.dumps({"note": NOTE, "batches": batches, "acks": acks}, indent=1))


main()
