"""Issues messages, and judges what became of them.

Whatever the fault, the verdict is the same: what is lost, extra, wrong or stale, cell by cell, with write
times, dead letters and committed offsets. It shares no code with the host.
"""
import collections
import json
import random
import zlib
from typing import NamedTuple

from expected import Expected

PEOPLE, MOMENTS = 60, 30
BASE_MS = 1_767_225_600_000
BAD = [b"not JSON", b'{"name":"Ada"}', b'{"name":7,"song":"x","timestamp":1}', b'{"name":"\xff"}', b""]


class Verdict(NamedTuple):
    """How many cells, letters or commits are not as they must be, and examples."""

    lost: int
    extra: int
    wrong: int
    stale: int
    examples: tuple = ()

    @property
    def holds(self):
        return not any(self[:4])

    def __str__(self):
        return f"{self.lost} lost, {self.extra} extra, {self.wrong} wrong, {self.stale} stale"


class Issuer:
    """Plays by few people at few moments, so that each row is written again and again: a stale write
    shows. Kafka's times stand still and go back now and then, as producers' clocks do."""

    def __init__(self, titles, partitions, seed, bad=0.03):
        self.random, self.titles, self.bad = random.Random(seed), titles, bad
        self.partitions, self.issued = partitions, 0
        self.clock_ms = BASE_MS

    def batches(self, count):
        """So many messages, as one batch a partition."""
        batches = collections.defaultdict(list)
        for _ in range(count):
            name = f"Person {self.random.randrange(PEOPLE)}"
            song = self.random.choice(self.titles) if self.random.random() < 0.9 else f"Nobody's {self.issued}"
            partition, message = self.one(name, song, self.random.random() < self.bad)
            batches[partition].append(message)
        return batches

    def one(self, name, song, is_bad=False):
        """A message, and the partition that all of this person's go to."""
        event = {"name": name, "song": song, "timestamp": BASE_MS + 60_000 * self.random.randrange(MOMENTS)}
        value = self.random.choice(BAD) if is_bad else json.dumps(event).encode()
        self.clock_ms += self.random.choice([0, 0, 1, 2, 5])
        back = self.random.choice([0] * 9 + [5_000])
        headers = [("id", str(self.issued).encode())]
        self.issued += 1
        return zlib.crc32(name.encode()) % self.partitions, (self.clock_ms - back, name.encode(), value, headers)


class Meant(Expected):
    """What a topic's messages must make, and every version that a row has had on the way."""

    def __init__(self, oracle, topic, messages):
        self.versions = collections.defaultdict(set)
        super().__init__(oracle, topic, messages)

    def _upsert(self, rows, key, written, cells):
        self.versions[key].add((written, cells))
        super()._upsert(rows, key, written, cells)

    def judge(self, rows, letters, commits, ends):
        """The verdict over one run's table, dead letters and commits; a letter may be kept twice."""
        found = collections.Counter()
        examples = []

        def note(kind, what):
            found[kind] += 1
            if found[kind] <= 2:
                examples.append(f"{kind}: {what!r:.400}")

        [table] = self.tables.values()
        missing = set(self.rows[table.name])
        for row in rows:
            key, cells = row.cells[: table.key], row.cells[table.key :]
            if key not in missing:
                note("extra", row)
                continue
            missing.discard(key)
            written, meant = self.rows[table.name][key]
            times = tuple(None if cell is None else written for cell in meant)
            if (meant, times) == (cells, row.times):
                continue
            times = set(row.times) - {None}
            is_old = len(times) == 1 and (min(times), cells) in self.versions[key]
            note("stale" if is_old else "wrong", (key, (written, meant), (row.times, cells)))
        for key in missing:
            note("lost", key)
        self._judge_letters(letters, note)
        for partition, end in ends.items():
            if commits[partition] != end and not (end == 0 and commits[partition] == -1):
                note("wrong", f"partition {partition} is committed to {commits[partition]}, it ends at {end}")
        return Verdict(found["lost"], found["extra"], found["wrong"], found["stale"], tuple(examples))

    def _judge_letters(self, letters, note):
        missing = set(self.rejected)
        for letter in letters:
            place = (letter.partition, letter.offset)
            if place not in self.rejected:
                note("extra", letter)
                continue
            missing.discard(place)
            codes, written, message = self.rejected[place]
            if letter.code not in codes or letter.written != written or letter[4:] != message[2:]:
                note("wrong", (letter, sorted(codes), written, message))
        for place in missing:
            note("lost", ("dead letter", place))
