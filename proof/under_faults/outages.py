"""Rows 4, 5 and 9, and Kafka's half of 8: a server is away, for longer than a member may keep silent."""
import time

from under_faults import seen
from under_faults.proxy import Proxy
from under_faults.stores import suffer
from under_faults.world import Failed, World, wait_until

# Scaled: `max.poll.interval.ms` is 10 s here, five minutes by default.
OUTAGE_SECONDS = 15
GROWTH_MAX = 1.10
# Of the rate before the outage: 0.8 is what is meant, and a busy machine is given 0.7 of that.
RATE_MIN = 0.56


def broker_restart(args, seed, servers):
    """4: the broker restarts."""
    restarts, slowest = (10 if args.long else 2), 0.0
    with World(args, "4", seed, servers=(servers.brokers, servers.cassandra)) as world:
        host = world.start(failpoints="transformed=sleep(20)")
        wait_until("ready", host.is_ready, host=host)
        for _ in range(restarts):
            world.issue(3_000)
            wait_until("a first batch", lambda: host.taken() > 0, host=host)
            servers.crash("kafka")
            time.sleep(5)
            if host.child.poll() is None:
                seen.note("broker away with work to do")
            servers.up("kafka")
            world.reconnect()
            world.issue(1)
            slowest = max(slowest, world.drain(host))
        host.stop()
        return world.judge(), f"{restarts} x kill -9 of the broker, away for 5 s", f"drained at most {slowest:.1f} s after it was back"


def store_away(args, seed, servers):
    """9: Cassandra is away for 1.5 times `max.poll.interval.ms`."""
    with World(args, "9", seed, servers=(servers.brokers, servers.cassandra)) as world:
        host = world.start()
        wait_until("ready", host.is_ready, host=host)
        world.issue(10_000)
        calm = 10_000 / world.drain(host)
        servers.crash("cassandra")
        world.issue(10_000)
        time.sleep(3)
        before = host.memory_kib()
        time.sleep(OUTAGE_SECONDS * (20 if args.long else 1) - 3)
        growth = host.memory_kib() / before
        seen.note("Cassandra away for longer than a member may keep silent")
        taken = host.taken()
        servers.up("cassandra")
        world.reconnect()
        went_on = wait_until("the first batch", lambda: host.taken() > taken, host=host)
        left = world.issuer.issued - host.taken()
        rate = left / world.drain(host) / calm
        told = host.said()
        if "partitions lost" in told or "partitions released" in told:
            raise Failed(f"the group put the host out meanwhile:\n{host.tail()}")
        if growth > GROWTH_MAX:
            raise Failed(f"memory grew to {growth:.2f} times what it was")
        if rate < RATE_MIN:
            raise Failed(f"it caught up at {rate:.2f} times the calm rate")
        host.stop()
        measured = f"0 evictions, memory x {growth:.2f}, went on {went_on:.1f} s after it was back, at {rate:.2f} x the calm rate"
        return world.judge(), f"kill -9, away for {OUTAGE_SECONDS} s and its start", measured


def broker_away(args, seed, servers):
    """5: the broker is away for 1.5 times `max.poll.interval.ms`."""
    with World(args, "5", seed, servers=(servers.brokers, servers.cassandra)) as world:
        world.issue(5_000)
        host = world.start(failpoints="transformed=sleep(20)")
        wait_until("a first batch", lambda: host.taken() > 0, host=host)
        servers.crash("kafka")
        time.sleep(3)
        before = host.memory_kib()
        time.sleep(OUTAGE_SECONDS * (20 if args.long else 1) - 3)
        if host.child.poll() is not None:
            raise Failed(f"without a broker the host ended:\n{host.tail()}")
        growth = host.memory_kib() / before
        seen.note("broker away for longer than a member may keep silent")
        servers.up("kafka")
        world.reconnect()
        drained = world.drain(host)
        if growth > GROWTH_MAX:
            raise Failed(f"memory grew to {growth:.2f} times what it was")
        host.stop()
        return world.judge(), f"kill -9, away for {OUTAGE_SECONDS} s and its start", f"memory x {growth:.2f}, drained {drained:.1f} s after it was back"


def broker_network(args, seed, servers):
    """8: the network to Kafka cut, slow, throttled, a black hole, half-open."""
    with (
        World(args, "8k", seed, servers=(servers.brokers, servers.cassandra)) as world,
        Proxy(servers.proxied, port=servers.proxy_port) as proxy,
    ):
        host = world.start(brokers=proxy.address, failpoints="transformed=sleep(10)")
        wait_until("ready", host.is_ready, host=host)
        return suffer(world, host, proxy, "Kafka", 1_000, 8)
