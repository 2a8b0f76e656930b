"""What the rows of swaps work with: versions of a plugin whose rows tell which of them made them, a running host
that is asked to swap, and the verdict."""
import collections
import hashlib
import http.client
import json
import struct
import subprocess
import threading
import time
import zlib

import cql
import kafka
import letters
from expected import Table
from under_faults.oracle import BASE_MS, Verdict
from under_faults.world import PATIENCE, Failed, World, wait_until

CONFIG = """
name = "misbehaving"
topic = "{topic}"
schema = "{root}/cql/spotify/schema.cql"
plugin = {{ path = "{plugin}" }}
[kafka.properties]
{properties}
[cassandra]
keyspace = "{keyspace}"
{cassandra}
"""
# What a test writes words over, so that one build gives many versions: see misbehaving-plugin's `candidate.rs`.
MARK, ROOM = b"candidate:", 86
# A row a message, and a row a key, over which later messages write.
OTHERS = Table("others", [("id", cql.TEXT), ("number", cql.INT)], 1, 1)
FACTS = Table("facts", [("id", cql.TEXT), ("number", cql.INT), ("note", cql.TEXT)], 1, 1)
# A message's number is its place among all, times this; what a version adds is below it.
STEP = 1_000
KEYS = 60
# Whose connection is cut may be about to end.
ENDING_SECONDS = 2
# The share of messages, in a hundred, that a bad version fails on.
STRUCK = 10
# So many messages wait for hosts that are to be busy all the time.
FULL_LOAD = 50_000


def strikes(payload):
    """Where a payload stands among a hundred, as the plugin has it: FNV-1a."""
    value = 0x811C9DC5
    for octet in payload:
        value = (value ^ octet) * 0x01000193 & 0xFFFFFFFF
    return value % 100


class Swapping(World):
    """A topic of `set KEY NUMBER`, and versions of the plugin that do it each in its own way."""

    config = CONFIG

    def __init__(self, args, row, seed, own_keys=False):
        super().__init__(args, row, seed)
        self.own_keys, self.number = own_keys, 0
        # What each version is known by, which is what it adds; and by that, what it does.
        self.digests, self.layouts, self.shares = {}, {}, {}
        self.module = args.misbehaving.read_bytes()
        self.plugin = self.version("version=1.0.0")

    def version(self, words):
        """The file of a version that does as these words say."""
        at = self.module.index(MARK + b" " * ROOM) + len(MARK)
        octets = self.module[:at] + words.encode().ljust(ROOM) + self.module[at + ROOM :]
        said = dict(word.split("=") for word in words.split())
        add = int(said.get("add", 0))
        self.layouts[add], self.shares[add] = said.get("layout", ""), int(said.get("share", 0))
        self.digests[hashlib.sha256(octets).hexdigest()] = add
        path = self.scratch / f"version-{add}.wasm"
        path.write_bytes(octets)
        return path

    def make_tables(self):
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self.cassandra.run(f"CREATE KEYSPACE {self.keyspace} WITH replication = {replication}")
        self.cassandra.run(f"CREATE TABLE {self.keyspace}.facts (id text PRIMARY KEY, number int, note text)")
        self.cassandra.run(f"CREATE TABLE {self.keyspace}.others (id text PRIMARY KEY, number int)")

    def issue(self, count, calm=False, connection=None):
        """Sends so many messages; calm ones are struck by no fault."""
        batches = collections.defaultdict(list)
        for _ in range(count):
            while True:
                self.number += 1
                key = f"key-{self.number if self.own_keys else self.random.randrange(KEYS)}"
                value = f"set {key} {self.number * STEP}".encode()
                if not calm or strikes(value) >= STRUCK:
                    break
            self.issuer.issued += 1
            batches[zlib.crc32(key.encode()) % self.partitions].append((BASE_MS + self.number, None, value, []))
        for partition, batch in sorted(batches.items()):
            (connection or self.kafka).produce(self.topic, partition, batch)

    def start(self, name="host", **how):
        """Starts a host that can be asked."""
        return super().start(name, admin="127.0.0.1:0", XDG_RUNTIME_DIR=str(self.scratch), **how)

    def ask(self, host, route, seconds=PATIENCE, **body):
        """Asks a host; the events that it answers with, as they come."""
        wait_until("the admin address", lambda: self._notice(host), host=host)
        notice = json.loads(self._notice(host)[0].read_text())
        connection = http.client.HTTPConnection(notice["address"], timeout=seconds)
        head = {"Authorization": f"Bearer {notice['token']}", "Content-Type": "application/json"}
        try:
            connection.request("POST", f"/api/v1/{route}", json.dumps(body), head)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Failed(f"{route}: {answer.status}: {answer.read().decode()}")
            until = time.monotonic() + seconds
            for line in answer:
                # An empty line tells that the host is there.
                if line.strip():
                    yield json.loads(line)
                elif time.monotonic() > until:
                    raise Failed(f"{route} comes to no end within {seconds} s:\n{host.tail()}")
        except (OSError, http.client.HTTPException) as error:
            try:
                host.child.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failed(f"{route}: {error}:\n{host.tail()}") from None
        finally:
            connection.close()

    def _notice(self, host):
        return [*(self.scratch / "sluice").glob(f"*-{host.child.pid}.json")]

    def swap(self, host, *paths):
        """Offers a version, and agrees to it; the next one, if that runs already. What the trade was, or None if
        the host came to its end."""
        for path in paths:
            event = {}
            for event in self.ask(host, "swap", plugin=str(path), consent="yes"):
                if event["event"] == "traded":
                    return event
            if event.get("code") != "same_version":
                break
        try:
            host.child.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"the swap to {path.name} came to {event}\n{host.tail()}") from None
        return None

    def judge(self, bad=(), history=True):
        """The verdict. `others` tells which version made a message's rows, `facts` must tell the same: the rows of
        the last message of each key and layout. Versions that add what is `bad` must have left nothing but letters.
        The `history` that the host keeps must tell the same, but for a host that was killed before it kept it."""
        found, examples = collections.Counter(), []

        def note(kind, *what):
            found[kind] += 1
            if found[kind] <= 3:
                examples.append(f"{kind}: {what!r:.400}")

        # A long run has millions of them: of each only what is needed.
        others = {row.cells[0]: (row.cells[1], row.times[0]) for row in self._rows(OTHERS)}
        meant, last, count = {}, {}, 0
        firsts = self._history() if history else None
        letters_by = self._letters(note)
        for count, message in enumerate(self.kafka.messages(self.topic), 1):
            _, key, number = message.value.decode().split(" ")
            row = others.pop(message.value, None)
            if row is None:
                if not letters_by[message.partition, message.offset] - {*bad}:
                    note("lost", message)
                continue
            cell, written = row
            add = struct.unpack(">i", cell)[0] - int(number)
            if add not in self.layouts or add in bad:
                note("wrong", f"made by version {add}", row)
                continue
            if firsts is not None and add != _version_of(firsts, message):
                note("wrong", f"made by version {add}, the history says {_version_of(firsts, message)}", message)
            if written <= last.get(message.partition, message.timestamp * 1_000 - 1):
                note("wrong", "an earlier write time than the message before", row, message)
            last[message.partition] = written
            key = f"{self.layouts[add]}{key}".encode()
            meant[key] = row
        if count != self.issuer.issued:
            raise Failed(f"the topic holds {count:,} of {self.issuer.issued:,} messages")
        for row in others.items():
            note("extra", row)
        for row in self._rows(FACTS):
            key, made = row.cells[0], (row.cells[1], row.times[0])
            wanted = meant.pop(key, None)
            if wanted is None:
                note("extra", row)
            elif wanted != made:
                note("stale" if made[1] < wanted[1] else "wrong", row, wanted)
        for key, wanted in meant.items():
            note("lost", key, wanted)
        for partition, end in self.ends().items():
            if self.committed()[partition] != end and end:
                note("wrong", f"partition {partition} is committed to {self.committed()[partition]}, it ends at {end}")
        return Verdict(found["lost"], found["extra"], found["wrong"], found["stale"], tuple(examples))

    def _rows(self, table):
        return self.cassandra.table(f"{self.keyspace}.{table.name}", table)

    def _letters(self, note):
        """By place: the versions that have kept a letter of it. They stay when their version is gone."""
        by = collections.defaultdict(set)
        kept = [*self.kafka.messages(f"{self.topic}.dlq")] if self.kafka.partitions(f"{self.topic}.dlq") else []
        for message, letter in zip(kept, letters.of_topic(kept)):
            add = self.digests.get(dict(message.headers)["sluice.plugin.digest"].decode())
            if strikes(letter.value) >= self.shares.get(add, 0):
                note("extra", add, letter)
            by[letter.partition, letter.offset].add(add)
        return by

    def _history(self):
        """By partition, the last one first: the generations, the first offset of each, and what its version adds."""
        firsts = collections.defaultdict(list)
        rows = self.cassandra.rows(
            "SELECT generation, partition, first_offset, plugin FROM sluice.generations "
            f"WHERE consumer_group = '{self.group}' ALLOW FILTERING"
        )
        for generation, partition, first, plugin in rows:
            partition = struct.unpack(">i", partition)[0]
            if partition >= 0 and first is not None:
                generation, first = struct.unpack(">i", generation)[0], struct.unpack(">q", first)[0]
                firsts[partition].append((generation, first, self.digests.get(plugin.decode())))
        for generations in firsts.values():
            generations.sort(reverse=True)
        return firsts


def _version_of(firsts, message):
    """What the version adds that the history says to have made a message's rows."""
    return next((add for _, first, add in firsts[message.partition] if first <= message.offset), 0)


class Load:
    """Messages that keep coming until the end of the block: so many a second, or all that the hosts can take."""

    def __init__(self, world, rate=None, calm=False):
        self.world, self.is_full, self.calm = world, rate is None, calm
        self.each = FULL_LOAD // 10 if rate is None else max(1, rate // 20)
        self.ending, self.failure = threading.Event(), None
        self.thread = threading.Thread(target=self._send)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        if self.failure:
            raise Failed(f"the load: {self.failure}")

    def _send(self):
        try:
            connection = kafka.Kafka(self.world.brokers)
            while not self.ending.wait(0.05):
                if self.is_full:
                    done = connection.committed(self.world.group, self.world.topic, self.world.partitions)
                    if self.world.issuer.issued - sum(done.values()) > FULL_LOAD:
                        continue
                self.world.issue(self.each, self.calm, connection)
        except OSError as error:
            self.failure = error
