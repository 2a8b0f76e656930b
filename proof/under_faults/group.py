"""Rows 15 to 17 and 19: members come, go and freeze; offsets and the log change under the group."""
import signal
import time

from under_faults import seen
from under_faults.oracle import Meant
from under_faults.proxy import Proxy
from under_faults.world import Failed, World, wait_until

SESSION_SECONDS = 6


def rebalances(args, seed):
    """15: a second member joins and leaves while the first one writes."""
    rounds, done, taken, slowest = (200 if args.long else 5), 0, 0, 0.0
    with World(args, "15", seed) as world, Proxy(world.address) as proxy:
        first = world.start("first", cassandra=proxy.address, static=False)
        wait_until("ready", first.is_ready, host=first)
        again = 0
        # A revoke between two batches shows nothing.
        while not again and done < 6 * rounds:
            # A write takes longer than the worker leaves its group alone, so a revoke meets it in flight.
            proxy.be("pass", delay=0.15)
            for _ in range(rounds):
                world.issue(1_000)
                second = world.start("second", cassandra=proxy.address, static=False)
                slowest = max(slowest, wait_until("ready", second.is_ready, host=second))
                wait_until("a batch of the second member", lambda: second.taken() > 0 or world.is_drained(), host=second)
                second.stop()
                taken += second.taken()
            done += rounds
            proxy.be("pass")
            world.drain(first)
            # What was in flight when it was revoked is fenced off and read again by its new owner.
            again = taken + first.taken() - world.issuer.issued
        first.stop()
        seen.note("revoke while a write is in flight", again)
        return world.judge(), f"{2 * done} rebalances", f"{again} messages read again; joined within {slowest:.1f} s"


def zombies(args, seed):
    """16: a member is frozen past its session time-out, and thawed."""
    rounds = 20 if args.long else 3
    with World(args, "16", seed) as world, Proxy(world.address) as proxy:
        for _ in range(rounds):
            proxy.be("pass", delay=0.1)
            world.issue(1_500)
            zombie = world.start("zombie", cassandra=proxy.address, static=False)
            wait_until("a first batch", lambda: zombie.taken() > 0, host=zombie)
            zombie.send(signal.SIGSTOP)
            proxy.be("pass")
            other = world.start("other", static=False)
            world.drain(other)
            world.issue(500)
            world.drain(other)
            zombie.send(signal.SIGCONT)
            wait_until("the zombie's notice of its loss", lambda: "partitions lost" in zombie.said(), host=zombie)
            seen.note("a frozen member's partitions went on without it")
            world.issue(300)
            world.drain(other)
            zombie.stop()
            other.stop()
        return world.judge(), f"{rounds} x SIGSTOP beyond {SESSION_SECONDS} s", "its late writes lost to newer ones"


def rewinds(args, seed):
    """17: an administrator sets offsets back."""
    rounds = 20 if args.long else 3
    with World(args, "17", seed) as world:
        world.issue(3_000)
        host = world.start(static=False)
        world.drain(host)
        host.stop()
        before, kept = sorted(world.table()), world.letters()
        for round in range(rounds):
            ends = world.ends()
            back = {partition: world.random.randint(0, end) if round else 0 for partition, end in ends.items()}
            world.kafka.commit(world.group, world.topic, back)
            host = world.start(static=False)
            world.drain(host)
            host.stop()
            if host.taken() != sum(ends[partition] - offset for partition, offset in back.items()):
                raise Failed(f"after the rewind to {back} the host read {host.taken()} messages")
            seen.note("offsets set back")
            if sorted(world.table()) != before:
                raise Failed(f"the rewind to {back} has changed the table: {world.judge()}")
        # An administrator's commit says nothing of write times: letters that are kept again may have others.
        ends = world.ends()
        verdict = world.meant().judge(world.table(), kept, world.committed(), ends)
        return verdict, f"{rounds} rewinds", "the same table, write times included"


def log_changes(args, seed):
    """19: messages beyond retention, partitions added."""
    with World(args, "19", seed, partitions=4) as world:
        world.issue(2_000)
        host = world.start(static=False)
        world.drain(host)
        host.stop()
        # Partitions that come later are read from their first message.
        world.kafka.widen(world.topic, 6)
        world.partitions = world.issuer.partitions = 6
        world.issue(1_000)
        host = world.start(static=False)
        world.drain(host)
        host.stop()
        seen.note("partitions added")
        # What was never read is gone: the partition stops with the numbers, the others go on.
        read = [message for message in world.kafka.messages(world.topic) if message.partition == 0]
        committed, lost = len(read), 100
        world.issue(4_000)
        world.kafka.cut(world.topic, {0: committed + lost})
        host = world.start(static=False)
        for number in (committed, committed + lost):
            forms = str(number), f"{number:,}"
            wait_until(f"{number} to be told", lambda: any(form in host.said() for form in forms), host=host)
        others = range(1, world.partitions)
        wait_until("the others", lambda: all(world.committed()[p] == world.ends()[p] for p in others), host=host)
        host.stop()
        seen.note("messages beyond retention")
        # What is to be there: the partition that has stopped as it was, the others whole.
        rest = (message for message in world.kafka.messages(world.topic) if message.partition != 0)
        meant = Meant(world.oracle, world.topic, [*read, *rest])
        verdict = meant.judge(world.table(), world.letters(), world.committed(), world.ends() | {0: committed})
        return verdict, f"{lost} messages cut off, 2 partitions added", "stopped with the numbers; 0 skipped silently"
