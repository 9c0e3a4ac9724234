#!/usr/bin/env python3
"""Verifies an audit log of Mooring without Mooring.

    mooring audit export | manifests/verify-audit.py
    manifests/verify-audit.py audit-20261121T140000Z.jsonl

Reads rows as JSON lines, oldest first, from the files that are named or from standard input, and says which one is the first
bad row. How digests are made is written in docs/audit.md; nothing but Python's standard library is needed.
Exit codes: 0 good, 1 not good, 2 not readable.
"""

import fileinput
import hashlib
import json
import sys

COLUMNS = (
    "prevHash", "id", "createdAt", "actor", "phase", "intent", "pass", "step", "object", "generation",
    "operation", "target", "whyCode", "why", "outcome", "error", "details",
)


def digest(row):
    text = b"mooring-audit-1\n"
    for column in COLUMNS:
        value = row[column]
        if value is None:
            text += b"~\n"
        else:
            value = str(value).encode()
            text += str(len(value)).encode() + b":" + value + b"\n"
    return hashlib.sha256(text).hexdigest()


def main():
    rows, last = 0, None
    for line in fileinput.input(encoding="utf-8"):
        row = json.loads(line)
        if digest(row) != row["hash"]:
            sys.exit(f"not good: row {row['id']} was changed: its content does not have the digest that it carries")
        if last is not None and (row["prevHash"] != last["hash"] or row["id"] <= last["id"]):
            sys.exit(f"not good: row {row['id']} does not follow row {last['id']}")
        if last is None and row["prevHash"] != "0" * 64:
            print(f"it goes on from an archive whose last row has the digest {row['prevHash']}")
        rows, last = rows + 1, row
    print(f"good: {rows} rows" + (f", the last one is {last['id']} with the digest {last['hash']}" if last else ""))


try:
    main()
except (OSError, ValueError, KeyError) as error:
    print(f"cannot be read: {error!r}", file=sys.stderr)
    sys.exit(2)
