"""What tables and dead letters messages must make, and what is wrong with those that are there.

The rules that all pipelines share: write times, the greatest of which wins; keys that a table can take;
one outcome for each message.
"""
import collections
import struct
from typing import NamedTuple

import reading

ROW_BYTES_MAX = 1 << 20
KEY_BYTES_MAX = 65_535
NO_TIME = -1


class Table(NamedTuple):
    """A table: its columns (name, type), those of the key first, those of the partition first of all."""

    name: str
    columns: list
    partition: int
    key: int


class Position(NamedTuple):
    topic: str
    partition: int
    offset: int


class Row(NamedTuple):
    """A row as a store has it: its cells, and the write time of each beyond the key; None where it is
    NULL."""

    cells: tuple
    times: tuple


class Letter(NamedTuple):
    """A rejected message as it is kept."""

    partition: int
    offset: int
    code: str
    written: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple


class Expected:
    """The tables that a topic's messages make, and the messages that must be dead letters."""

    def __init__(self, oracle, topic, messages):
        self.oracle, self.topic = oracle, topic
        self.tables = {table.name: table for table in oracle.tables}
        self.rows = {table.name: {} for table in oracle.tables}
        self.rejected, self.filtered = {}, collections.Counter()
        self.messages = self.row_writes = self.ties = 0
        last = {}
        for message in messages:
            self.messages += 1
            own = 0 if message.timestamp == NO_TIME else message.timestamp * 1000
            written = max(own, last.get(message.partition, 0) + 1)
            last[message.partition] = written
            self._take(message, written)
        self.written = self.messages - len(self.rejected) - self.filtered.total()

    def _take(self, message, written):
        try:
            if message.value is None:
                raise reading.Refused("tombstone")  # no pipeline deletes
            event = reading.event(message.value, self.oracle.fields)
            position = Position(self.topic, message.partition, message.offset)
            rows = self.oracle.rows(position, event)
            for table, cells in rows:
                _check(self.tables[table], cells)
        except reading.Refused as refused:
            if refused.codes <= self.oracle.filtered:
                self.filtered[min(refused.codes)] += 1
            else:
                self.rejected[message.partition, message.offset] = (refused.codes, written, message)
            return
        for table, cells in rows:
            self.row_writes += 1
            key = self.tables[table].key
            self._upsert(self.rows[table], cells[:key], written, cells[key:])

    def _upsert(self, rows, key, written, cells):
        before = rows.get(key)
        if before is None or before[0] < written:
            rows[key] = (written, cells)
        elif before[0] == written:
            # Two partitions, one key and one write time: Cassandra settles it cell by cell, a
            # deleted one first, else the greater bytes.
            self.ties += 1
            settled = (None if None in pair else max(pair) for pair in zip(before[1], cells))
            rows[key] = (written, tuple(settled))

    def compare(self, table, rows):
        """What is wrong with the rows of a table: sentences, none if all holds.

        All write times may lie later by the same whole number of milliseconds: the generation.
        """
        table, expected = self.tables[table], self.rows[table]
        missing, extra, wrong, shifts = set(expected), [], [], collections.Counter()
        seen = set()
        for row in rows:
            key, cells = row.cells[: table.key], row.cells[table.key :]
            if key not in expected or key in seen:
                extra.append(key)
                continue
            seen.add(key)
            missing.discard(key)
            written, meant = expected[key]
            if meant != cells:
                names = [name for name, _ in table.columns[table.key :]]
                wrong.append((key, [cell for cell in zip(names, meant, cells) if cell[1] != cell[2]]))
            elif [cell is None for cell in cells] != [time is None for time in row.times]:
                wrong.append((key, "cells without a write time, or the reverse", cells, row.times))
            for time in {*row.times} - {None}:
                shifts[time - written] += 1
        found = (("lost", list(missing)), ("extra", extra), ("wrong", wrong))
        sentences = [f"{table.name}: {_told(kind, 'rows', rows)}" for kind, rows in found if rows]
        if len(shifts) > 1 or any(shift % 1000 or shift < 0 for shift in shifts):
            off = _short(dict(shifts))
            sentences.append(f"{table.name}: write times are not the messages', off by (us: rows) {off}")
        return sentences

    def compare_letters(self, letters, runs=1):
        """What is wrong with the dead letters of so many runs: sentences, none if all holds."""
        missing = collections.Counter({place: runs for place in self.rejected})
        extra, wrong = [], []
        for letter in letters:
            place = (letter.partition, letter.offset)
            if not missing[place]:
                extra.append((place, letter.code))
                continue
            missing[place] -= 1
            codes, written, message = self.rejected[place]
            if message.timestamp == NO_TIME:  # a letter has a time in any case
                letter = letter._replace(timestamp=NO_TIME)
            if letter.code not in codes or letter.written != written or letter[4:] != message[2:]:
                wrong.append((letter, "the code is one of", sorted(codes), written, message))
        lost = [(place, sorted(self.rejected[place][0]), self.rejected[place][2].value) for place in sorted(missing.elements())]
        found = (("lost", lost), ("extra", extra), ("wrong", wrong))
        return [_told(kind, "dead letters", letters) for kind, letters in found if letters]

    def compare_counts(self, counts, reasons):
        """What is wrong with what a run says of itself: in, written, filtered, dead letters, pending, rows;
        and how many messages were filtered for each reason."""
        meant = (self.messages, self.written, self.filtered.total(), len(self.rejected), 0, self.row_writes)
        wrong = [] if counts == meant else [f"conservation: the host says {counts}, it is {meant}"]
        if reasons != self.filtered:
            wrong.append(f"filtered: the host says {reasons}, it is {dict(self.filtered)}")
        return wrong


def _check(table, cells):
    """Whether a table can take a row."""
    codes = set()
    if 2 + sum(4 + len(cell or b"") for cell in cells) > ROW_BYTES_MAX:
        codes.add("row_too_large")
    sizes = [len(cell) for cell in cells[: table.partition]]
    stored = sum(sizes) + (3 * len(sizes) if len(sizes) > 1 else 0)
    if not 0 < stored <= KEY_BYTES_MAX:
        codes.add("bad_key")
    if codes:
        raise reading.Refused(*codes)


def _told(kind, what, found):
    return f"{len(found):,} {what} are {kind}, such as {_short(found[:2])}"


def _short(found):
    text = repr(found)
    return text if len(text) <= 1200 else f"{text[:1200]}..."
