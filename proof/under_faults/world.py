"""What a row of the table works with: a topic and a keyspace of its own, hosts, and the verdict."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import cassandra
import kafka
import letters
from oracles import spotify
from under_faults.oracle import Issuer, Meant

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# How long anything may take on a busy machine, in seconds.
PATIENCE = 120
POLL = 0.02
CONFIG = """
name = "spotify"
topic = "{topic}"
schema = "{root}/cql/spotify/schema.cql"
plugin = {{ path = "spotify.wasm" }}
lookups.songs = {{ path = "{songs}" }}
[kafka.properties]
{properties}
[cassandra]
keyspace = "{keyspace}"
{cassandra}
"""


class Failed(Exception):
    """A row does not hold, or could not be run."""


class Stuck(Failed):
    """What was waited for did not come."""


def wait_until(what, holds, seconds=None, host=None):
    """Looks until a condition holds; how many seconds that took."""
    seconds = seconds or PATIENCE
    since = time.monotonic()
    while not holds():
        if host is not None and host.child.poll() is not None:
            raise Stuck(f"the host ended with {host.child.returncode} while waiting for {what}:\n{host.tail()}")
        if time.monotonic() - since > seconds:
            raise Stuck(f"waited {seconds:.0f} s in vain for {what}" + (f":\n{host.tail()}" if host else ""))
        time.sleep(POLL)
    return time.monotonic() - since


class Host:
    """A process of the host under test."""

    def __init__(self, world, name, arguments, environment):
        self.world, self.name = world, name
        self.log = world.scratch / f"{name}-{len(world.hosts)}.log"
        command = [world.args.host, *arguments]
        with open(self.log, "w", encoding="utf-8") as log:
            self.child = subprocess.Popen(
                [*map(str, command)], stdout=log, stderr=subprocess.STDOUT, cwd=world.scratch,
                env=os.environ | {"XDG_CACHE_HOME": str(world.args.cache)} | environment,
            )

    def said(self):
        """All that it has told so far."""
        return self.log.read_text(errors="replace")

    def tail(self):
        told = (line for line in self.said().splitlines() if '"numInputRows"' not in line)
        return "\n".join([*told][-15:])

    def batches(self):
        """What it has reported of each batch that is done."""
        lines = (line for line in self.said().splitlines() if '"numInputRows"' in line and line.endswith("}"))
        return [json.loads(line) for line in lines]

    def taken(self):
        """How many messages it has reported as done."""
        return sum(batch["numInputRows"] for batch in self.batches())

    def is_ready(self):
        return '"message":"ready"' in self.said()

    def memory_kib(self):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def send(self, number):
        self.child.send_signal(number)

    def kill(self):
        """As a crash would."""
        self.send(signal.SIGKILL)
        self.child.wait(PATIENCE)

    def ended(self):
        """Waits for its end; the exit code."""
        try:
            return self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"the host does not end within {PATIENCE} s:\n{self.tail()}") from None

    def stop(self, expected=0):
        """SIGTERM; how many seconds draining took."""
        since = time.monotonic()
        self.send(signal.SIGTERM)
        code = self.ended()
        if code != expected:
            raise Failed(f"the host ended with {code} instead of {expected}:\n{self.tail()}")
        return time.monotonic() - since


class World:
    """One topic into one keyspace, by one group: plays by the pipeline `spotify`."""

    config, meaning = CONFIG, Meant

    def __init__(self, args, row, seed, partitions=8, servers=None):
        self.args, self.row, self.partitions = args, row, partitions
        self.brokers, self.address = servers or (args.brokers, args.cassandra)
        self.topic = f"faults-{row}-{os.getpid()}-{time.time_ns() // 1_000_000 % 10**9}"
        self.keyspace = self.group = re.sub(r"\W", "_", self.topic)
        self._scratch = tempfile.TemporaryDirectory(prefix="sluice-faults-")
        self.scratch = pathlib.Path(self._scratch.name)
        self.hosts = []
        self.plugin, self.oracle = "spotify.wasm", spotify.Oracle({"songs": args.songs})
        self.issuer = Issuer(self.oracle.titles, partitions, seed)
        self.random = self.issuer.random
        self.kafka, self.cassandra = kafka.Kafka(self.brokers), cassandra.Cassandra(self.address)

    def __enter__(self):
        self.make_tables()
        self.kafka.create(self.topic, self.partitions)
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            if host.child.poll() is None:
                host.send(signal.SIGCONT)
                host.kill()
        if not self.args.keep:
            cassandra.Cassandra(self.address).run(f"DROP KEYSPACE IF EXISTS {self.keyspace}")
            kafka.Kafka(self.brokers).delete([self.topic, f"{self.topic}.dlq"])
            self._scratch.cleanup()

    def reconnect(self):
        """After a server was away."""
        self.kafka, self.cassandra = kafka.Kafka(self.brokers), cassandra.Cassandra(self.address)

    def make_tables(self):
        schema = re.sub(r"--.*", "", (ROOT / "cql" / "spotify" / "schema.cql").read_text())
        schema = re.sub(r"(KEYSPACE\s+(?:IF\s+NOT\s+EXISTS\s+)?)spotify\b", rf"\g<1>{self.keyspace}", schema, flags=re.I)
        schema = re.sub(r"\bspotify\.", f"{self.keyspace}.", schema)
        statements = [*filter(str.strip, schema.split(";"))]
        for statement in statements:
            self.cassandra.run(statement)
        self.table_schema = next(statement for statement in statements if "TABLE" in statement.upper())

    def issue(self, count):
        """Sends so many messages."""
        for partition, batch in sorted(self.issuer.batches(count).items()):
            self.kafka.produce(self.topic, partition, batch)

    def issue_one(self, name, song):
        """Sends one play; compressed, for texts of a megabyte fit no batch but such a one."""
        partition, message = self.issuer.one(name, song)
        self.kafka.produce(self.topic, partition, [message], kafka.GZIP)

    def start(self, name="host", *, workers=1, batch=100, failpoints="", static=True, brokers=None, cassandra=None,
              group=None, breaker=False, admin="off", arguments=(), properties=(), settings="", **environment):
        """Starts a host. A static member takes its place again at once after a crash. A few of a hundred
        messages are bad, which is near to what opens the breaker."""
        said = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500", "max.poll.interval.ms": "10000"}
        if static:
            said["group.instance.id"] = f"{self.group}-{name}"
        said |= dict(properties)
        config = self.scratch / f"{name}.toml"
        config.write_text(self.config.format(
            topic=self.topic, plugin=self.plugin, root=ROOT, songs=self.args.songs, keyspace=self.keyspace, cassandra=settings,
            properties="\n".join(f'"{key}" = "{value}"' for key, value in said.items()),
        ))
        host = Host(
            self, name,
            ["--plugin", self.plugin, "--config", config, "--group", group or self.group, "--workers", workers,
             "--progress", "json", "--brokers", brokers or self.brokers, "--cassandra", cassandra or self.address, "--admin", admin, *([] if breaker else ["--no-breaker"]), *arguments],
            {"SLUICE_BATCH__MESSAGES_MAX": str(batch), "FAILPOINTS": ";".join(filter(None, [failpoints, self.args.bug]))}
            | environment,
        )
        self.hosts.append(host)
        return host

    def ends(self):
        return {partition: self.kafka.end(self.topic, partition) for partition in range(self.partitions)}

    def committed(self):
        return self.kafka.committed(self.group, self.topic, self.partitions)

    def is_drained(self):
        commits, ends = self.committed(), self.ends()
        return all(commits[partition] == end or end == 0 for partition, end in ends.items())

    def drain(self, host=None, seconds=None):
        """The faults are over: everything must be committed. How many seconds it took."""
        try:
            return wait_until("everything to be committed", self.is_drained, seconds, host)
        except Failed as failed:
            alive = [host for host in self.hosts if host.child.poll() is None]
            told = "".join(f"\n--- {host.name}\n{host.tail()}" for host in alive)
            raise Failed(f"{failed}\ncommitted {self.committed()}, ends {self.ends()}{told}") from None

    def meant(self):
        meant = self.meaning(self.oracle, self.topic, self.kafka.messages(self.topic))
        if meant.messages != self.issuer.issued:
            raise Failed(f"the topic holds {meant.messages:,} of {self.issuer.issued:,} messages")
        return meant

    def table(self):
        """The rows, as they stand."""
        table = self.oracle.tables[0]
        return list(self.cassandra.table(f"{self.keyspace}.{table.name}", table))

    def letters(self):
        return list(letters.of_topic(self.kafka.messages(f"{self.topic}.dlq")))

    def judge(self):
        """The verdict as things stand now."""
        return self.meant().judge(self.table(), self.letters(), self.committed(), self.ends())
