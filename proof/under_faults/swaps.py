"""Rows 30 and 32 to 34: other versions are swapped in under load, good ones and bad ones, and killed in between."""
import statistics
import threading
import time

from under_faults import seen
from under_faults.kills import ABORTED
from under_faults.swapping import Load, Swapping
from under_faults.world import Failed, wait_until

# A host that is about as busy as it likes to be: batches of some dozens of messages, each some milliseconds.
RATE = 1_000
STORM_RATE = 100
# So many batches of full size, from the first that shows that a version is bad, are its own: three are meant, and a
# machine with more to do than it can counts them late.
BATCH, FULL_BATCHES_MAX = 100, 5
# How much memory may grow over the second half of a storm: a twentieth is meant, and a machine is noisy.
MEMORY_MAX = 1.10
# Who is killed is not waited for.
SOON = {"session.timeout.ms": 2_000}
# What a bad version does: it fails on every tenth message, and its rows are others besides.
BAD = ["fault=trap share=10 layout=bad/", "fault=reject share=10"]


def slow_starts(args, seed):
    """30: versions whose start hangs, or fails, are offered under load."""
    with Swapping(args, "30", seed) as world:
        refused = {
            "init_deadline": world.version("add=1 fault=init-loop"),
            "init_failed": world.version("add=2 fault=init-trap"),
        }
        host, slowest = world.start(), 0.0
        with Load(world, RATE):
            wait_until("batches", lambda: host.taken() > RATE, host=host)
            first = len(_batches(host))
            time.sleep(5)
            calm, first = _batches(host)[first:], len(_batches(host))
            for code, path in refused.items():
                since = time.monotonic()
                *_, event = world.ask(host, "swap", plugin=str(path), consent="yes")
                slowest = max(slowest, time.monotonic() - since)
                if event.get("code") != code:
                    raise Failed(f"a version that should be refused as {code} came to {event}\n{host.tail()}")
                seen.note(f"refused: {code}")
            offered = _batches(host)[first:]
        world.drain(host)
        host.stop()
        return world.judge({1, 2}), f"{len(refused)} candidates", (
            f"refused within {slowest:.1f} s; p99 of a batch {_p99(offered):.1f} ms, {_p99(calm):.1f} ms without"
        )


def bad_versions(args, seed):
    """32: a bad version is swapped in mid-stream: traps, or rejects, a tenth of what comes."""
    rounds, slowest, most = (20 if args.long else 2), 0.0, (0, 0)
    with Swapping(args, "32", seed) as world:
        # What each adds, by which it is known.
        bad = {*range(1, rounds * len(BAD) + 1)}
        for number in bad:
            path = world.version(f"add={number} {BAD[number % len(BAD)]}")
            # The last messages of this host, which the proof tries it on, have none of those that it fails on.
            host = world.start(batch=BATCH)
            with Load(world, RATE, calm=True) as load:
                wait_until("batches to try it on", lambda: host.taken() > RATE, host=host)
                for event in world.ask(host, "swap", plugin=str(path), consent="yes"):
                    if event["event"] == "traded":
                        load.calm, since = False, time.monotonic()
                    if event["event"] == "rolled_back":
                        break
                else:
                    raise Failed(f"a version that fails on every tenth message stays: {event}\n{host.tail()}")
                slowest = max(slowest, time.monotonic() - since)
            seen.note("rolled back in its probation")
            world.drain(host)
            host.stop()
            most = max(most, _while_bad(host))
            if most[0] > FULL_BATCHES_MAX * BATCH:
                raise Failed(f"from the first that showed it on, it made {most[1]} batches, {most[0]} messages")
        verdict = world.judge(bad)
        return verdict, f"{len(bad)} bad versions", (
            f"rolled back within {slowest:.1f} s; from the first that showed it on, at most {most[1]} batches with "
            f"{most[0]} messages read again; nothing of them is left"
        )


def _while_bad(host):
    """How many messages, in how many batches, went through a version from its first failure to its last."""
    batches = host.batches()
    failed = [at for at, batch in enumerate(batches) if batch["sink"]["deadLetters"]]
    made = batches[failed[0] : failed[-1] + 1]
    return sum(batch["numInputRows"] for batch in made), len(made)


def _batches(host):
    """How long each batch took that a host has reported, in milliseconds, without the wait for messages."""
    spent = (batch["durationMs"] for batch in host.batches())
    return [each["transform"] + each["write"] + each["checkpoint"] for each in spent]


def _p99(figures):
    return sorted(figures)[len(figures) * 99 // 100]


def every_two_seconds(args, seed):
    """33s: a swap every 2 s under full load, two good versions in turn."""
    seconds = 600 if args.long else 60
    with Swapping(args, "33s", seed) as world:
        versions = [world.version("add=1 version=2.0.0"), world.version("add=2 version=2.0.0")]
        host = world.start(workers=2, static=False, batch=1_000)
        wait_until("ready", host.is_ready, host=host)
        with Load(world):
            wait_until("full load", lambda: host.taken() > 10_000, host=host)
            first = len(_batches(host))
            time.sleep(seconds / 4)
            calm, pauses = _batches(host)[first:], []
            first, until, due = len(_batches(host)), time.monotonic() + seconds, time.monotonic()
            while time.monotonic() < until:
                traded = world.swap(host, *versions)
                pauses += [pause / 1_000 for pause in traded["pauses_us"].values()]
                seen.note("swapped under full load")
                due += 2
                time.sleep(max(0, due - time.monotonic()))
            swapping = _batches(host)[first:]
        world.drain(host)
        host.stop()
        told = "; ".join(
            f"{what} p50 {statistics.median(figures):.2f} ms, p99 {_p99(figures):.2f} ms"
            for what, figures in (("pauses", pauses), ("batches", swapping), ("batches without a swap", calm))
        )
        return world.judge(), f"{len(pauses) // 2} swaps, {world.issuer.issued:,} messages", told


def storm(args, seed):
    """33: a storm of swaps under load, two good versions in turn."""
    swaps = 5_000 if args.long else 200
    with Swapping(args, "33", seed) as world:
        versions = [world.version(f"add={add} version=2.0.0") for add in (1, 2)]
        host = world.start(workers=2, static=False)
        wait_until("ready", host.is_ready, host=host)
        # Few messages: each version is proved on all that were kept, which at a swap after the other would be all
        # that the machine does.
        with Load(world, STORM_RATE):
            wait_until("batches", lambda: host.taken() > STORM_RATE, host=host)
            first = len(_batches(host))
            time.sleep(8)
            calm, pauses, memory = _batches(host)[first:], [], 0
            first = len(_batches(host))
            for number in range(swaps):
                traded = world.swap(host, *versions)
                pauses += [pause / 1_000 for pause in traded["pauses_us"].values()]
                seen.note("swapped in a storm")
                if number == swaps // 2 - 1:
                    memory = host.memory_kib()
            grown, stormy = host.memory_kib() / memory, _batches(host)[first:]
        world.drain(host)
        host.stop()
        if grown > MEMORY_MAX:
            raise Failed(f"over the second half of {swaps} swaps memory grew x {grown:.2f}")
        told = "; ".join(
            f"{what} p50 {statistics.median(figures):.2f} ms, p99 {_p99(figures):.2f} ms"
            for what, figures in (("pauses", pauses), ("batches", stormy), ("batches without a swap", calm))
        )
        return world.judge(), f"{swaps} swaps", f"memory x {grown:.2f} over the second half; {told}"


def storm_with_kills(args, seed):
    """33k: swaps while members of the group join and are killed."""
    kills = 100 if args.long else 10
    with Swapping(args, "33k", seed) as world:
        versions = [world.version(f"add={add} version=2.0.0") for add in (1, 2)]

        def start(name):
            return world.start(name, static=False, properties=SOON)

        hosts = {name: start(name) for name in ("a", "b")}
        with Load(world, RATE):
            for _ in range(kills):
                for name, host in hosts.items():
                    wait_until("ready", host.is_ready, host=host)
                name = world.random.choice([*hosts])
                host = hosts[name]
                offers = threading.Thread(target=_swap_on, args=(world, host, versions))
                offers.start()
                time.sleep(world.random.uniform(0.5, 2.5))
                host.kill()
                offers.join()
                seen.note("killed in a storm of swaps")
                hosts[name] = start(name)
        drained = world.drain(hosts["a"])
        for host in hosts.values():
            host.stop()
        return world.judge(history=False), f"{kills} kills", f"drained {drained:.1f} s after the last kill"


def _swap_on(world, host, versions):
    """Swaps to and fro, until the host is gone."""
    while host.child.poll() is None:
        world.swap(host, *versions)


# Each stage of a trade at which the process ends, and what that means.
TRADE = {
    "trading": "killed before a trade was committed",
    "traded": "killed between a trade's commit and the first write",
    "first-write": "killed between the first write after a trade and its commit",
    "": "killed soon after a trade",
}


def another_layout(args, seed):
    """34: a version with other keys is swapped in, and the host is killed at each stage in between."""
    kills = 50 if args.long else 20
    with Swapping(args, "34", seed, own_keys=True) as world:
        versions = [world.version("add=1 layout=a/ version=2.0.0"), world.version("add=2 layout=b/ version=2.0.0")]
        for kill in range(kills):
            stage, state = [*TRADE.items()][kill % len(TRADE)]
            host = world.start(failpoints=f"{stage}=return" if stage else "", workers=2, static=False, properties=SOON)
            wait_until("ready", host.is_ready, host=host)
            with Load(world, RATE):
                wait_until("batches", lambda: host.taken() > RATE // 2, host=host)
                world.swap(host, *versions)
                if stage:
                    host.ended()
                else:
                    time.sleep(world.random.uniform(0, 0.05))
                    host.kill()
            if stage and host.child.returncode != ABORTED:
                raise Failed(f"the host was to end at `{stage}`, and ended with {host.child.returncode}:\n{host.tail()}")
            seen.note(state)
        host = world.start(workers=2, static=False, properties=SOON)
        drained = world.drain(host)
        host.stop()
        return world.judge(history=False), f"{kills} kills", f"drained {drained:.1f} s after the last kill"


def side_by_side(args, seed):
    """34g: two members of a group run versions with other keys, and one of them is killed under load."""
    kills = 50 if args.long else 6
    with Swapping(args, "34g", seed, own_keys=True) as world:
        versions = {name: world.version(f"add={add} layout={name}/ version=2.0.0") for add, name in enumerate("ab", 1)}

        def start(name):
            return world.start(name, static=False, properties=SOON)

        hosts = {name: start(name) for name in versions}
        with Load(world, RATE):
            for _ in range(kills):
                for name, host in hosts.items():
                    wait_until("ready", host.is_ready, host=host)
                    _run(world, host, versions[name])
                time.sleep(world.random.uniform(0.5, 2.5))
                name = world.random.choice([*hosts])
                [other] = (host for host in hosts.values() if host is not hosts[name])
                before = other.said().count(ASSIGNED)
                hosts[name].kill()
                wait_until("the other one to take over", lambda: other.said().count(ASSIGNED) > before, host=other)
                seen.note("taken over by a version with other keys")
                hosts[name] = start(name)
        drained = world.drain(hosts["a"])
        for host in hosts.values():
            host.stop()
        return world.judge(history=False), f"{kills} kills", f"drained {drained:.1f} s after the last kill"


# What a member says that was given partitions.
ASSIGNED = '"message":"partitions assigned"'


def _run(world, host, path):
    """Lets a host run a version, unless it does already."""
    for event in world.ask(host, "swap", plugin=str(path), consent="yes"):
        if event["event"] == "traded" or event.get("code") == "same_version":
            return
    raise Failed(f"the swap to {path.name} came to {event}\n{host.tail()}")


# Each stage of the way back, and what it means to be killed there.
BACK = {
    "rewound": "killed on the way back, before rows were deleted",
    "swept": "killed on the way back, with rows deleted",
}


def on_the_way_back(args, seed):
    """32k: kill -9 while a bad version is taken back."""
    kills = 50 if args.long else 5
    with Swapping(args, "32k", seed) as world:
        good, bad = world.plugin, 0
        for stage, state in BACK.items():
            for _ in range(kills):
                bad += 1
                path = world.version(f"add={bad} {BAD[1]} layout=bad-{bad}/")
                host = world.start(failpoints=f"{stage}=return")
                wait_until("ready", host.is_ready, host=host)
                with Load(world, RATE, calm=True) as load:
                    wait_until("batches to try it on", lambda: host.taken() > RATE, host=host)
                    for event in world.ask(host, "swap", plugin=str(path), consent="yes"):
                        load.calm = event["event"] != "traded"
                    code = host.ended()
                if code != ABORTED:
                    raise Failed(f"the host was to end at `{stage}`, and ended with {code}:\n{host.tail()}")
                seen.note(state)
                host = world.start()
                world.drain(host)
                # Either of the two goes on, whole; the next round begins with the good one.
                world.swap(host, good, path)
                host.stop()
        return world.judge(history=False), f"{2 * kills} kills", "one of the two versions goes on, whole"
