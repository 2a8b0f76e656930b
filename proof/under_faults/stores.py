"""Rows 8 and 10 to 14: Cassandra answers late, wrongly, or not at all."""
import time

from under_faults import seen
from under_faults.forger import Forger
from under_faults.proxy import Proxy
from under_faults.world import Failed, World, wait_until

TRANSIENT = ("overloaded", "unavailable", "server error", "bootstrapping")
# How a network misbehaves: a mode of the proxy, and how it is slow.
NETWORK = {
    "cut": ("cut", {}),
    "slow": ("pass", {"delay": 0.5}),
    "throttled": ("pass", {"rate": 10_000}),
    "a black hole": ("hole", {}),
    "half-open": ("half", {}),
}
HELD = ("table dropped", "column missing", "column of another type", "unauthorised")
# Answers are waited for so long, where time-outs are what a row is about.
SHORT = 'request_timeout = "1s"'


def errors_forged(args, seed):
    """10: overloaded, unavailable, server error, is bootstrapping."""
    count, forger = (50_000 if args.long else 4_000), Forger(seed)
    with World(args, "10", seed) as world, Proxy(world.address, forger) as proxy:
        world.issue(count)
        calm = _calm_requests(world, forger, proxy)
        forger.be(0.3, *TRANSIENT)
        host = world.start(cassandra=proxy.address, batch=500)
        drained = world.drain(host)
        seen.note("errors forged", forger.forged)
        ratio = forger.requests / calm
        if ratio > 2:
            raise Failed(f"{forger.requests} requests where {calm} do: {ratio:.1f} times as many")
        # All of them fail for a while: whoever tries again at once storms the server.
        forger.be(1.0, "overloaded")
        before = forger.requests
        world.issue(500)
        time.sleep(3)
        stormed = forger.requests - before
        seen.note("everything refused for a while")
        if stormed > STORM_MAX:
            raise Failed(f"{stormed} requests in 3 s while every one was refused: a retry storm")
        forger.be(0.0)
        recovered = world.drain(host)
        host.stop()
        measured = f"{ratio:.2f} x the requests, drained in {drained:.1f} s; {stormed} requests in 3 s of refusals, recovered in {recovered:.1f} s"
        return world.judge(), f"{forger.forged} errors, 30 % of requests", measured


# The requests in flight, times the attempts that fit into 3 s of backoff, generously.
STORM_MAX = 64 * 12


def _calm_requests(world, forger, proxy):
    """How many writes the same messages take when none fails."""
    host = world.start("calm", cassandra=proxy.address, batch=500, static=False, group=f"{world.group}_calm")
    wait_until("the calm run", lambda: host.taken() >= world.issuer.issued, host=host)
    host.stop()
    calm, forger.requests = forger.requests, 0
    world.cassandra.run(f"TRUNCATE {world.keyspace}.records")
    return calm


def time_outs(args, seed):
    """11: write time-outs, and answers lost after the write was applied."""
    count, forger = (50_000 if args.long else 4_000), Forger(seed)
    with World(args, "11", seed) as world, Proxy(world.address, forger) as proxy:
        world.issue(count)
        forger.be(0.2, "write time-out, simple", "write time-out, batch", applied=True)
        host = world.start(cassandra=proxy.address, batch=500, settings=SHORT)
        world.drain(host)
        late = forger.forged
        seen.note("write time-out after it was applied", late)
        forger.be(0.1, lost=True)
        world.issue(count // 4)
        world.drain(host)
        lost = forger.forged - late
        seen.note("answer lost after it was applied", lost)
        forger.be(0.0)
        world.issue(200)
        drained = world.drain(host)
        host.stop()
        return world.judge(), f"{late} time-outs, {lost} answers lost", f"drained {drained:.1f} s after the last"


def network(args, seed):
    """8: the network to Cassandra cut, slow, throttled, a black hole, half-open."""
    with World(args, "8", seed) as world, Proxy(world.address) as proxy:
        host = world.start(cassandra=proxy.address, settings=SHORT)
        wait_until("ready", host.is_ready, host=host)
        return suffer(world, host, proxy, "Cassandra", 500, 3)


def suffer(world, host, proxy, whom, messages, seconds):
    """The network to somebody in all its faults, one after the other, each with work to do."""
    slowest, rounds = 0.0, 10 if world.args.long else 1
    for name, (mode, slow) in [*NETWORK.items()] * rounds:
        proxy.be(mode, **slow)
        world.issue(messages)
        time.sleep(seconds)
        if not world.is_drained():
            seen.note(f"network to {whom} {name} with work to do")
        proxy.be("pass")
        slowest = max(slowest, world.drain(host, 60))
    host.stop()
    injected = f"{len(NETWORK) * rounds} faults of {seconds} s"
    return world.judge(), injected, f"drained at most {slowest:.1f} s after the end of one"


def late_writes(args, seed):
    """12: the client gives up while the server still works, and the write is applied late."""
    count, forger = (30_000 if args.long else 4_000), Forger(seed)
    with World(args, "12", seed) as world, Proxy(world.address, forger) as proxy:
        forger.be(0.03, late=3.0)
        host = world.start(cassandra=proxy.address, settings=SHORT)
        for _ in range(4):
            world.issue(count // 4)
            world.drain(host)
        late = forger.forged
        seen.note("write applied after the client gave up", late)
        forger.be(0.0)
        time.sleep(3)
        world.issue(200)
        world.drain(host)
        host.stop()
        return world.judge(), f"{late} writes 3 s late, given up after 1 s", "the late ones lost to newer ones"


def mended_by_people(args, seed):
    """13: unauthorised, table dropped, column missing, column of another type, statement unprepared."""
    forger, slowest, held = Forger(seed), 0.0, 0
    with World(args, "13", seed) as world, Proxy(world.address, forger) as proxy:
        table = f"{world.keyspace}.records"
        host = world.start(cassandra=proxy.address)
        wait_until("ready", host.is_ready, host=host)
        schema = world.table_schema
        variants = {
            "table dropped": None,
            "column missing": schema.replace("energy float,", ""),
            "column of another type": schema.replace("energy float", "energy text"),
        }
        if len({schema, *variants.values()}) != 4:
            raise Failed("the schema has no column `energy float` any more")
        # Dropped with its rows: so nothing is written before.
        world.cassandra.run(f"DROP TABLE {table}")
        world.issue(1_000)
        for fault, variant in variants.items():
            if variant:
                world.cassandra.run(f"DROP TABLE IF EXISTS {table}")
                world.cassandra.run(variant)
            _is_held(world, host, fault)
        world.cassandra.run(f"DROP TABLE {table}")
        world.cassandra.run(schema)
        slowest = max(slowest, world.drain(host, 60))
        forger.be(1.0, "unauthorized")
        world.issue(500)
        _is_held(world, host, "unauthorised")
        forger.be(0.3, "unprepared")
        slowest = max(slowest, world.drain(host, 60))
        world.issue(1_000)
        world.drain(host)
        seen.note("statement unprepared", forger.forged)
        host.stop()
        return world.judge(), "5 faults", f"held without a dead letter, went on within {slowest:.1f} s"


def _is_held(world, host, fault):
    """Whether nothing happens to what is there, for longer than it takes to look again."""
    before = world.committed()
    time.sleep(6)
    if host.child.poll() is not None:
        raise Failed(f"{fault}: the host ended:\n{host.tail()}")
    if world.committed() != before or world.is_drained():
        raise Failed(f"{fault}: the host went on")
    seen.note(f"held: {fault}")


def rows_refused(args, seed):
    """14: rows that are too large, keys that are too long, batches over the server's limit."""
    with World(args, "14", seed) as world:
        rounds = 50 if args.long else 5
        for round in range(rounds):
            world.issue(300)
            for size, key in ((60_000, 10), (200_000, 10), (900_000, 10), (1_100_000, 10), (10, 70_000), (10, 65_000)):
                name, song = f"Person {round}".ljust(key, "x"), f"{round} ".ljust(size, "y")
                world.issue_one(name, song)
        host = world.start(batch=1_000)
        drained = world.drain(host)
        host.stop()
        verdict = world.judge()
        refused = sum(bool(codes & {"row_too_large", "bad_key"}) for codes, *_ in world.meant().rejected.values())
        seen.note("row refused", refused)
        return verdict, f"{rounds * 6} large ones", f"{refused} dead letters for the {refused} bad rows; {drained:.1f} s"
