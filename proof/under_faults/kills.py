"""Rows 1 to 3: the process ends at any instant, or is asked to."""
import signal
import time

from under_faults import seen
from under_faults.proxy import Proxy
from under_faults.world import Failed, Stuck, World, wait_until

# Each stage, how often it may pass by before the kill, and what the kill means.
STAGES = {
    "taken": (3, "killed after a poll"),
    "transformed": (2, "killed between transform and write"),
    "writing": (20, "killed in the middle of a write"),
    "written": (2, "killed between write and commit"),
    "committing": (0, "killed during a commit"),
    "letters": (3, "killed while dead letters were kept"),
}
# Of the host's own end after a failpoint.
ABORTED = -signal.SIGABRT
GRACE_SECONDS = 2


def at_each_stage(args, seed):
    """1: kill -9 at each stage."""
    kills = 50 if args.long else 5
    with World(args, "1", seed) as world:
        for stage, (passes_max, state) in STAGES.items():
            for _ in range(kills):
                world.issue(600)
                passes = world.random.randint(0, passes_max)
                host = world.start(failpoints=f"{stage}=" + (f"{passes}*off->" if passes else "") + "return")
                code = host.ended()
                if code != ABORTED:
                    raise Failed(f"the host was to end at `{stage}`, and ended with {code}:\n{host.tail()}")
                seen.note(state)
        verdict, measured = _settled(world)
        return verdict, f"{len(STAGES) * kills} kills", measured


def in_rebalance(args, seed):
    """1r: kill -9 in a rebalance, while partitions with a write in flight are given up."""
    kills = 50 if args.long else 5
    with World(args, "1r", seed) as world, Proxy(world.address) as proxy:
        # A write takes longer than the worker leaves its group alone, so the revoke meets it in flight.
        proxy.be("pass", delay=0.15)
        killed = tried = 0
        while killed < kills:
            world.issue(600)
            # Its first rebalance is its joining, its second one that of the other.
            first = world.start(failpoints="rebalance=1*off->return", batch=50, cassandra=proxy.address)
            try:
                wait_until("a first batch", lambda host=first: host.taken() > 0, host=first)
            except Stuck:
                tried += 1
                if first.child.poll() != ABORTED or tried > kills:
                    raise
                continue  # Its joining took two, and it had written nothing yet.
            second = world.start("second", static=False)
            if first.ended() != ABORTED:
                raise Failed(f"the host was to end in the rebalance:\n{first.tail()}")
            seen.note("killed in a rebalance")
            killed += 1
            wait_until("ready", second.is_ready, host=second)
            second.stop()
        verdict, measured = _settled(world)
        return verdict, f"{kills} kills", measured


def _settled(world):
    """What came of kills: the verdict, and how long it took to go on."""
    since = time.monotonic()
    host = world.start()
    ready = wait_until("ready", host.is_ready, host=host)
    world.drain(host)
    drained = time.monotonic() - since
    host.stop()
    return world.judge(), f"ready {ready:.1f} s after the last kill, drained after {drained:.1f} s"


def at_random(args, seed):
    """2: random kill -9 of two members under load."""
    kills, count = (500, 500_000) if args.long else (20, 20_000)
    with World(args, "2", seed) as world:
        world.issue(count // 2)
        # Members come and go by the session's time-out: with static ones, a kill in the middle of a rebalance
        # would leave partitions to nobody until the next one.
        soon = {"session.timeout.ms": 2_000}

        def start(name):
            return world.start(name, failpoints="transformed=sleep(20)", static=False, properties=soon)

        hosts = {name: start(name) for name in ("a", "b")}
        for kill in range(kills):
            name = world.random.choice([*hosts])
            host = hosts[name]
            wait_until("ready", host.is_ready, host=host)
            time.sleep(world.random.uniform(0, 3))
            done = host.taken()
            host.kill()
            if kill == kills // 2:
                world.issue(count - world.issuer.issued)
            if done and not world.is_drained():
                seen.note("killed at random under load")
            hosts[name] = start(name)
        drained = world.drain(hosts["a"])
        for host in hosts.values():
            host.stop()
        return world.judge(), f"{kills} kills", f"drained {drained:.1f} s after the last kill"


def asked_to_stop(args, seed):
    """3: SIGTERM and SIGINT drain; nothing is read again afterwards."""
    stops, slowest, taken = (50 if args.long else 10), 0.0, 0
    with World(args, "3", seed) as world:
        for stop in range(stops):
            world.issue(1_000)
            host = world.start(failpoints="transformed=sleep(20)")
            wait_until("ready", host.is_ready, host=host)
            wait_until("a first batch", lambda host=host: host.taken() > 0, host=host)
            since = time.monotonic()
            host.send(signal.SIGINT if stop % 2 else signal.SIGTERM)
            code = host.ended()
            slowest = max(slowest, time.monotonic() - since)
            if code:
                raise Failed(f"asked to stop, the host ended with {code}:\n{host.tail()}")
            taken += host.taken()
            if not world.is_drained():
                seen.note("stopped under load")
        host = world.start()
        world.drain(host)
        slowest = max(slowest, host.stop())
        taken += host.taken()
        if taken != world.issuer.issued:
            raise Failed(f"{taken - world.issuer.issued} messages were read again after clean stops")
        return world.judge(), f"{stops} signals", f"ended within {slowest:.1f} s, 0 messages read again"


def grace_over(args, seed):
    """3g: Cassandra is a black hole when the host is asked to stop."""
    stops, slowest = (20 if args.long else 3), 0.0
    with World(args, "3g", seed) as world, Proxy(world.address) as proxy:
        for stop in range(stops):
            # The first member of a new group reads at once, so that a batch is in flight.
            host = world.start(cassandra=proxy.address, arguments=("--grace", f"{GRACE_SECONDS}s"), batch=500)
            wait_until("ready", host.is_ready, host=host)
            proxy.be("hole")
            world.issue(500)
            time.sleep(1)
            before, since = world.committed(), time.monotonic()
            host.send(signal.SIGTERM)
            if stop % 3 == 2:
                time.sleep(0.2)
                host.send(signal.SIGINT)
                wanted, state, limit = 130, "second signal", 1.2
            else:
                wanted, state, limit = 75, "grace over with a batch in flight", GRACE_SECONDS + 1
            code, seconds = host.ended(), time.monotonic() - since
            slowest = max(slowest, seconds)
            proxy.be("pass")
            if code != wanted or seconds > limit:
                raise Failed(f"{state}: ended with {code} after {seconds:.1f} s:\n{host.tail()}")
            seen.note(state)
            if world.committed() != before:
                raise Failed("what was in flight is committed")
            host = world.start()
            world.drain(host)
            host.stop()
            if host.taken() != 500:
                raise Failed(f"{host.taken()} messages were read again instead of the 500 in flight")
        return world.judge(), f"{stops} stops", f"75, or 130 at once after a second signal; at most {slowest:.1f} s at a grace of {GRACE_SECONDS} s"
