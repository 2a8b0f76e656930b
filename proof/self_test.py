"""Whether the proof finds what is wrong: each fault is seeded alone and must be told.

Without servers: the faultless stores are made of what is expected. Beside it, answers that were worked
out elsewhere, which hold the oracles themselves.
"""
import pathlib
import sqlite3
import tempfile
import uuid

import cql
import kafka
import reading
import reference
import sqlite
from expected import Expected, Letter, Position, Row
from hostile import Hostile
from oracles import netflix

MESSAGES, PARTITIONS, NOW_MS = 1_000, 8, 1_767_225_600_000


def run(oracles, seed):
    """Prints what was not found; the exit code."""
    failures = known_answers()
    seeded = 0
    for name, oracle in oracles.items():
        meant = Expected(oracle, "topic", _messages(oracle, seed))
        outcomes = {"rows": meant.written, "filtered": meant.filtered.total(), "dead letters": len(meant.rejected)}
        failures += [f"{name}: the messages make no {what}" for what, count in outcomes.items() if not count]
        for fault, is_found in faults(meant):
            seeded += 1
            if not is_found:
                failures.append(f"{name}: not as it should be: {fault}")
    for failure in failures:
        print(f"WRONG              {failure}")
    print(f"verdict            {seeded} seeded faults, " + ("not all found" if failures else "all found"))
    return 1 if failures else 0


def _messages(oracle, seed):
    ends = [0] * PARTITIONS
    for partition, *message in Hostile(oracle.fields, oracle.titles, PARTITIONS, seed, NOW_MS).messages(MESSAGES):
        yield kafka.Message(partition, ends[partition], *message)
        ends[partition] += 1


def faults(meant):
    """Each fault, and whether it is found; first, that nothing is found where nothing is wrong."""
    for name, table in meant.tables.items():
        right = [_row(table, key, *written_cells) for key, written_cells in meant.rows[name].items()]
        yield f"{name} without a fault", not meant.compare(name, right)
        later = [_at(row, 7_000) for row in right]
        yield f"{name} of a later generation", not meant.compare(name, later)
        for fault, rows in _table_faults(table, right):
            yield f"{name}: {fault}", bool(meant.compare(name, rows))
    right = [
        Letter(partition, offset, min(codes), written, *message[2:])
        for (partition, offset), (codes, written, message) in meant.rejected.items()
    ]
    yield "letters without a fault", not meant.compare_letters(right)
    yield "letters of two runs", not meant.compare_letters(right * 2, runs=2)
    yield "letters: one of two runs is lost", bool(meant.compare_letters(right + right[1:], runs=2))
    for fault, letters in _letter_faults(right):
        yield f"letters: {fault}", bool(meant.compare_letters(letters))
    right = (meant.messages, meant.written, meant.filtered.total(), len(meant.rejected), 0, meant.row_writes)
    reasons = dict(meant.filtered)
    yield "counts without a fault", not meant.compare_counts(right, reasons)
    yield "another reason", bool(meant.compare_counts(right, {"reason" + code: count for code, count in reasons.items()}))
    for at in range(len(right)):
        off = tuple(count + (place == at) for place, count in enumerate(right))
        yield f"count {at} off by one", bool(meant.compare_counts(off, reasons))


def _row(table, key, written, cells):
    return Row(key + cells, tuple(None if cell is None else written for cell in cells))


def _at(row, shift):
    return row._replace(times=tuple(time and time + shift for time in row.times))


def _table_faults(table, right):
    first, *rest = right
    yield "a row is lost", rest
    yield "all rows are lost", []
    yield "a row is there twice", [first, *right]
    yield "a row's write time is later", [_at(first, 1_000), *rest]
    yield "a row's write time is earlier", [_at(first, -1), *rest]
    yield "all write times are off", [_at(row, 1) for row in right]
    yield "a row has no write time", [first._replace(times=(None,) * len(first.times)), *rest]
    for at, (name, _) in enumerate(table.columns):
        at_value = next((row for row in right if row.cells[at] is not None), None)
        at_null = next((row for row in right if row.cells[at] is None), None)
        for row, cell, fault in (
            (at_value, lambda cell: cell[:-1] + bytes([cell[-1] ^ 1]) if cell else b"x", "another value"),
            (at_value, lambda _: None, "NULL"), (at_null, lambda _: b"", "empty instead of NULL"),
        ):
            if row is not None:
                changed = row._replace(cells=(*row.cells[:at], cell(row.cells[at]), *row.cells[at + 1 :]))
                yield f"`{name}` is {fault}", [changed if other is row else other for other in right]
        if at >= table.key and at_value is not None:
            times = [*at_value.times]
            times[at - table.key] += 1
            changed = at_value._replace(times=tuple(times))
            yield f"`{name}` alone is later", [changed if other is at_value else other for other in right]


def _letter_faults(right):
    first, *rest = right
    yield "one is lost", rest
    yield "one is there twice", [first, *right]
    yield "one is of a message that is right", [first._replace(offset=1 << 40), *right]
    changes = {
        "code": "trap", "written": first.written + 1, "timestamp": first.timestamp + 1, "key": b"another",
        "value": b"another", "headers": (("another", None),),
    }
    for name, value in changes.items():
        # A message without a time has a letter with one.
        letter = next(letter for letter in right if name != "timestamp" or letter.timestamp != -1)
        yield f"another {name}", [letter._replace(**{name: value}) if other is letter else other for other in right]


def known_answers():
    """What was worked out elsewhere: by hand, or by another program."""
    checks = [
        (reading.instant("2026-01-01 00:00"), 1_767_225_600_000),
        (reading.instant("2026-01-01T01:00:00.999999+01:00"), 1_767_225_600_999),
        (reading.instant("1969-12-31T23:59:59.9995"), -1),
        (reading.instant("0000-01-01 00:00"), -62_167_219_200_000),
        (reading.instant("2026-02-29 00:00"), None),
        (reading.instant("04:05 PM"), None),
        (reading.minute(1_767_225_659_999), "2026-01-01 00:00"),
        (reading.minute(-1), "1969-12-31 23:59"),
        (reading.minute(-62_167_219_200_000), "0000-01-01 00:00"),
        (reading.minute(-62_167_219_200_001), None),
        (reading.minute(253_402_300_799_999), "9999-12-31 23:59"),
        (reading.minute(253_402_300_800_000), None),
        (reading.hour(-1), -3_600_000),
        (reading.hour(-(1 << 63)), None),
        (cql.DATE.of_text("1970-01-01"), b"\x80\0\0\0"),
        (cql.FLOAT.of_text("1e-1"), b"\x3d\xcc\xcc\xcd"),
        (cql.FLOAT.of_stored(0.1), ("more than a float", 0.1)),
        (cql.INT.of_stored(7.0), ("stored as", "float", 7.0)),
        (str(netflix.id_of(Position("samples", 0, 7), 0)), "0b41a2b1-1491-5ee4-b378-d608a7bb9216"),
        (kafka._crc32c(b"123456789"), 0xE3069283),
    ]
    codes = {
        b"": "bad_json", b"{": "bad_json", b'{"a":NaN,"t":"x"}': "bad_json", b'{"t":"\\ud83c"}': "bad_json",
        b'{"t":"\xff"}': "bad_utf8", b"\0\0\0\0\1{}": "registry_framing", b"[]": "wrong_type", b"{}": "missing_field",
        b'{"t":"x","t":null}': "missing_field", b'{"t":7,"n":1}': "wrong_type", b'{"t":"x","n":1.0}': "wrong_type",
        b'{"t":"x","n":2147483648}': "wrong_type", b'{"t":"x","n":true}': "wrong_type", b'{"t":7,"t":"x","n":1}': None,
        b'{"t":"x","n":1,"deep":' + b"[" * 127 + b"]" * 127 + b"}": None,
        b'{"t":"x","n":1,"deep":' + b"[" * 128 + b"]" * 128 + b"}": "bad_json",
    }
    checks += [(_code(value), code) for value, code in codes.items()]
    wrong = [f"known answers: {found!r} should be {known!r}" for found, known in checks if found != known]
    return wrong + _stores()


def _code(value):
    try:
        reading.event(value, {"t": "text", "n": "int"})
    except reading.Refused as refused:
        return "missing_field" if len(refused.codes) > 1 else min(refused.codes)
    return None


def _stores():
    """A file of SQLite's and a CSV file are read as they are written."""
    with tempfile.TemporaryDirectory(prefix="sluice-proof-") as scratch:
        scratch = pathlib.Path(scratch)
        connection = sqlite3.connect(scratch / "a.db")
        connection.execute("CREATE TABLE movie_ratings (name TEXT, timestamp INTEGER, id TEXT, movie TEXT, "
                           "rating_movie INTEGER, country TEXT, director TEXT, duration INTEGER, rating TEXT, "
                           "release_year INTEGER, show_id TEXT, sluice_w INTEGER, sluice_deleted INTEGER)")
        id = "123e4567-e89b-52d3-a456-426614174000"
        values = ["a\0b", -1, id, "m", 7, None, "", 90, "PG", 1999, "s1", 5, 0]
        for name, deleted in (("a\0b", 0), ("gone", 1)):
            connection.execute(f"INSERT INTO movie_ratings VALUES ({'?, ' * 12}?)", [name, *values[1:12], deleted])
        connection.commit()
        connection.close()
        found, gone = sqlite.table(scratch / "a.db", netflix.Oracle.tables[0])
        (scratch / "a.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n"x, ""y""",1\r\n\r\nz,\r\n,3\r\nz,2\r\n')
        checks = [
            (found.cells[:3], (b"a\0b", b"\xff" * 8, uuid.UUID(id).bytes)),
            (found.cells[5:8], (None, b"", b"\0\0\0\x5a")), (found.times[1:4], (5, None, 5)),
            (gone.cells[0], "a deleted row"),
            (reference.encoded(scratch / "a.csv", "a", [("b", cql.TINYINT)]), {'x, "y"': (b"\1",), "z": (None,)}),
        ]
    return [f"stores: {found!r} should be {known!r}" for found, known in checks if found != known]
