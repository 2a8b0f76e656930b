"""Rows 22 and 24: messages that cannot be used, and messages on which the plugin fails."""
import cql
from expected import Table
from under_faults import seen
from under_faults.oracle import BASE_MS, Meant
from under_faults.world import Failed, World, wait_until

BREAKER_MAX = 1_000
TRAPS = """
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


def all_poison(args, seed):
    """22: nothing but messages that cannot be read."""
    count = 100_000 if args.long else 5_000
    with World(args, "22", seed) as world:
        world.issue(1_000)
        world.issuer.bad = 1.0
        world.issue(count)
        host = world.start(breaker=True)
        wait_until("the breaker", lambda: '"breaker"' in host.said(), host=host)
        wait_until("the commit of what was kept", lambda: sum(world.committed().values()) == host.taken(), host=host)
        kept = len(world.letters())
        if kept > BREAKER_MAX:
            raise Failed(f"{kept} dead letters before the breaker opened")
        seen.note("breaker open")
        host.stop()
        host = world.start()
        drained = world.drain(host)
        host.stop()
        return world.judge(), f"{count} messages", f"stopped after {kept} dead letters; told to go on, drained in {drained:.1f} s"


class Facts:
    """What the plugin that misbehaves writes of a payload that names no fault."""

    fields = {}
    tables = [Table("facts", [("id", cql.TEXT), ("number", cql.INT), ("note", cql.TEXT)], 1, 1)]
    filtered = {"tombstone"}


class MeantFacts(Meant):
    """A row of each payload; a dead letter of each `trap`."""

    def _take(self, message, written):
        if message.value == b"trap":
            self.rejected[message.partition, message.offset] = ({"trap"}, written, message)
        else:
            self._upsert(self.rows["facts"], (message.value,), written, (cql.INT.of_value(7), None))


class Misbehaving(World):
    """The same with the plugin that does as each message says."""

    config, meaning = TRAPS, MeantFacts

    def __init__(self, args, row, seed):
        super().__init__(args, row, seed)
        self.plugin, self.oracle = args.misbehaving, Facts()

    def make_tables(self):
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self.cassandra.run(f"CREATE KEYSPACE {self.keyspace} WITH replication = {replication}")
        self.cassandra.run(f"CREATE TABLE {self.keyspace}.facts (id text PRIMARY KEY, number int, note text)")
        self.cassandra.run(f"CREATE TABLE {self.keyspace}.others (id text PRIMARY KEY, number int)")

    def issue(self, count, traps):
        """Sends payloads, so many among them on which the plugin traps. A row's payloads are in one partition."""
        trapping = {*self.random.sample(range(count), traps)}
        batches = [[] for _ in range(self.partitions)]
        for number in range(count):
            row = self.random.randrange(count)
            value = b"trap" if number in trapping else f"fact {row}".encode()
            batches[row % self.partitions].append((BASE_MS + number, None, value, [("id", str(number).encode())]))
        for partition, batch in enumerate(batches):
            self.kafka.produce(self.topic, partition, batch)
        self.issuer.issued += count


def traps(args, seed):
    """24: the plugin traps on single messages of a batch."""
    count, traps = (50_000, 500) if args.long else (4_000, 20)
    with Misbehaving(args, "24", seed) as world:
        world.issue(count, traps)
        host = world.start(batch=500)
        drained = world.drain(host)
        host.stop()
        verdict = world.judge()
        seen.note("the plugin trapped", traps)
        return verdict, f"{traps} traps", f"each alone a dead letter, its neighbours written; drained in {drained:.1f} s"
