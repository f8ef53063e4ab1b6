#!/usr/bin/env python3
"""Writes commit.json: records of the commit log and their digests, as docs/protocol.md says they are.

Nothing of narval's code is used: what agrees with these vectors agrees with the document.

    python3 test/vectors/commit.py > test/vectors/commit.json
"""
import hashlib
import json
import struct

COMMITTEE_DIGEST = bytes([0xCC]) * 32
DOMAIN = b"narval/commit/v1".ljust(32, b"\0")
NOTE = (
    "Records of the commit log as docs/protocol.md defines them, computed by an independent implementation (commit.py). "
    "Bytes are hex, sequences decimal strings; a sequence of null is not known. Each record is the successor of the one before."
)

# (epoch, timestamp, [(id byte, round, author)], [(digest byte, author, worker, sequence)])
COMMITS = [
    ("a commit without batches", 0, 0, [(1, 1, 3)], []),
    ("one batch", 0, 1790000000000, [(2, 2, 0)], [(0xA0, 1, 0, 4)]),
    (
        "three certificates, two batches, one of them without a sequence",
        0,
        1790000000020,
        [(3, 3, 1), (4, 3, 2), (5, 4, 255)],
        [(0xA1, 2, 7, 2**64 - 1), (0xA2, 255, 2**32 - 1, None)],
    ),
    ("the same time again", 0, 1790000000020, [(6, 2**53 - 1, 0)], [(0xA3, 0, 0, 0)]),
]


def main():
    commits = []
    previous = bytes(32)
    first_batch = 0
    for index, (name, epoch, timestamp, certificates, batches) in enumerate(COMMITS, 1):
        record = bytes([1, 16]) + bytes(6)
        record += struct.pack("<6Q", epoch, index, timestamp, first_batch, len(certificates), len(batches)) + previous
        for byte, round_, author in certificates:
            record += bytes([byte]) * 32 + struct.pack("<QH", round_, author) + bytes(6)
        for byte, author, worker, sequence in batches:
            record += bytes([byte]) * 32 + struct.pack("<HHIQ", author, 1 if sequence is None else 0, worker, sequence or 0)
        digest = hashlib.sha256(DOMAIN + COMMITTEE_DIGEST + record).digest()
        commits.append(
            {
                "name": name,
                "epoch": epoch,
                "index": index,
                "timestamp": timestamp,
                "first_batch": first_batch,
                "previous": previous.hex(),
                "certificates": [
                    {"id": (bytes([byte]) * 32).hex(), "round": round_, "author": author}
                    for byte, round_, author in certificates
                ],
                "batches": [
                    {
                        "digest": (bytes([byte]) * 32).hex(),
                        "author": author,
                        "worker": worker,
                        "sequence": None if sequence is None else str(sequence),
                    }
                    for byte, author, worker, sequence in batches
                ],
                "record": record.hex(),
                "digest": digest.hex(),
            }
        )
        previous = digest
        first_batch += len(batches)
    print(json.dumps({"note": NOTE, "committee_digest": COMMITTEE_DIGEST.hex(), "commits": commits}, indent=1))


main()
