#!/usr/bin/env python3
"""Writes evidence.json: records of evidence, signed, as docs/protocol.md and docs/consensus.md say they are.

Nothing of narval's code is used: what agrees with these vectors agrees with the documents. Needs the package `cryptography`.

    python3 test/vectors/evidence.py > test/vectors/evidence.json
"""
import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOTE = (
    "Evidence as docs/protocol.md defines it, computed and signed by an independent implementation (evidence.py). A committee "
    "of four with stake 1 and one worker with id 0 each; seeds are 32 equal bytes. Bytes are hex, keys base64."
)
EPOCH = 0


def public_key(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


# An authority's index is its place in the order of the public keys.
KEYS = sorted((Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5)), key=public_key)


def tag(name):
    return name.encode().ljust(32, b"\0")


def committee_digest():
    data = tag("narval/committee/v1") + struct.pack("<I", len(KEYS))
    for key in KEYS:
        data += public_key(key) + struct.pack("<III", 1, 1, 0)
    return hashlib.sha256(data).digest()


COMMITTEE = committee_digest()


def header(author, round_, created_at, signer=None):
    """Parents are 32 bytes 01, 02 and 03; one batch. Returns the record and its id."""
    unsigned = struct.pack("<BBHQQQHH", 1, 1, author, EPOCH, round_, created_at, 3, 1)
    unsigned += b"".join(bytes([byte]) * 32 for byte in (1, 2, 3))
    unsigned += bytes([0xA0]) * 32 + struct.pack("<HHIQ", author, 0, 0, 7)
    id_ = hashlib.sha256(tag("narval/header/v1") + COMMITTEE + unsigned).digest()
    key = KEYS[author if signer is None else signer]
    return unsigned + key.sign(tag("narval/header-signature/v1") + id_), id_


def vote_signature(voter, author, round_, id_):
    message = tag("narval/vote/v1") + COMMITTEE + struct.pack("<Q", EPOCH) + id_ + struct.pack("<QH", round_, author)
    return KEYS[voter].sign(message)


def vote(voter, author, round_, id_):
    return struct.pack("<BBHHHQQ", 1, 2, voter, author, 0, EPOCH, round_) + id_ + vote_signature(voter, author, round_, id_)


def certificate(author, round_, created_at, voters):
    record, id_ = header(author, round_, created_at)
    mask = bytearray(32)
    for voter in voters:
        mask[voter // 8] |= 1 << (voter % 8)
    head = struct.pack("<BBHI", 1, 3, len(voters), len(record)) + bytes(mask)
    return head + b"".join(vote_signature(voter, author, round_, id_) for voter in voters) + record


def said(index, root):
    return struct.pack("<QQ", EPOCH, index) + bytes([0xAA]) * 32 + bytes([root]) * 32 + bytes([0xDD]) * 32


def checkpoint_signature(signer, index, root):
    return KEYS[signer].sign(tag("narval/checkpoint/v1") + COMMITTEE + said(index, root))


def signed_checkpoint(signer, index, root, by=None):
    head = struct.pack("<BBHI", 1, 9, signer, 0) + said(index, root)
    return head + checkpoint_signature(signer if by is None else by, index, root)


def attested_checkpoint(index, root, signers):
    mask = bytearray(32)
    for signer in signers:
        mask[signer // 8] |= 1 << (signer % 8)
    head = struct.pack("<BBHI", 1, 10, len(signers), 0) + said(index, root) + bytes(mask)
    return head + b"".join(checkpoint_signature(signer, index, root) for signer in signers)


def evidence(kind, accused, round_, first, second, committee=None):
    head = struct.pack("<BBHHHQQ", 1, 17, kind, accused, 0, EPOCH, round_) + (committee or COMMITTEE)
    return head + struct.pack("<I", len(first)) + first + second


T = 1790000000000


def main():
    one, two = header(1, 5, T)[0], header(1, 5, T + 1)[0]
    cert = certificate(1, 5, T, [0, 2, 3])
    pieces = [
        ("two headers", evidence(1, 1, 5, one, two), [1]),
        ("two certificates", evidence(2, 1, 5, cert, certificate(1, 5, T + 1, [0, 1, 2])), [0, 1, 2]),
        ("our key, in a certificate of another", evidence(3, 2, 5, cert, b""), []),
        ("our key, and our own header", evidence(3, 1, 5, cert, two), [1]),
        ("our key, and our own vote", evidence(3, 3, 5, cert, vote(3, 1, 5, header(1, 5, T + 1)[1])), [3]),
        ("two checkpoints by one", evidence(4, 2, 32, signed_checkpoint(2, 32, 1), signed_checkpoint(2, 32, 2)), [2]),
        (
            "another checkpoint than a quorum",
            evidence(4, 2, 32, signed_checkpoint(2, 32, 1), attested_checkpoint(32, 2, [0, 1, 3])),
            [2],
        ),
        ("one checkpoint twice", evidence(4, 2, 32, signed_checkpoint(2, 32, 1), signed_checkpoint(2, 32, 1)), None),
        (
            "the same checkpoint as a quorum",
            evidence(4, 2, 32, signed_checkpoint(2, 32, 1), attested_checkpoint(32, 1, [0, 1, 3])),
            None,
        ),
        (
            "another checkpoint than too few",
            evidence(4, 2, 32, signed_checkpoint(2, 32, 1), attested_checkpoint(32, 2, [0, 1])),
            None,
        ),
        ("checkpoints of two commits", evidence(4, 2, 32, signed_checkpoint(2, 32, 1), signed_checkpoint(2, 33, 2)), None),
        ("checkpoints by two", evidence(4, 2, 32, signed_checkpoint(2, 32, 1), signed_checkpoint(3, 32, 2)), None),
        (
            "a checkpoint that another has signed",
            evidence(4, 2, 32, signed_checkpoint(2, 32, 1), signed_checkpoint(2, 32, 2, by=3)),
            None,
        ),
        ("one header twice", evidence(1, 1, 5, one, one), None),
        ("headers of two rounds", evidence(1, 1, 5, one, header(1, 6, T)[0]), None),
        ("headers of two authors", evidence(1, 1, 5, one, header(2, 5, T)[0]), None),
        ("a header that another has signed", evidence(1, 1, 5, one, header(1, 5, T + 1, signer=0)[0]), None),
        ("another one accused", evidence(1, 2, 5, one, two), None),
        ("a certificate without a quorum", evidence(2, 1, 5, cert, certificate(1, 5, T + 1, [0, 2])), None),
        ("our key where it has not signed", evidence(3, 3, 5, certificate(1, 5, T, [0, 1, 2]), b""), None),
        ("our key, and our vote for the same", evidence(3, 3, 5, cert, vote(3, 1, 5, header(1, 5, T)[1])), None),
        ("our key, and the vote of another", evidence(3, 3, 5, cert, vote(2, 1, 5, header(1, 5, T + 1)[1])), None),
        ("another committee", evidence(1, 1, 5, one, two, bytes(32)), None),
    ]
    print(
        json.dumps(
            {
                "note": NOTE,
                "names": [base64.b64encode(public_key(key)).decode() for key in KEYS],
                "committee_digest": COMMITTEE.hex(),
                "evidence": [{"name": name, "record": record.hex(), "convicted": who} for name, record, who in pieces],
            },
            indent=1,
        )
    )


main()
