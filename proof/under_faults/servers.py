"""The pair of servers that is stopped and killed."""
import os
import pathlib
import subprocess

from under_faults.world import ROOT, Failed

# Where a pair of the proof's own lives: the ports are apart from those of `services/services` by default.
OWN = {
    "KAFKA_PORT": "27092", "KAFKA_CONTROLLER_PORT": "27093", "KAFKA_PROXIED_PORT": "27094", "KAFKA_PROXY_PORT": "27095",
    "CASSANDRA_PORT": "27042", "CASSANDRA_STORAGE_PORT": "27070", "CASSANDRA_JMX_PORT": "27099",
    "KAFKA_HEAP": "512M", "CASSANDRA_HEAP": "1G", "SERVICES_SECURE": "",
}
HOME = pathlib.Path.home() / ".cache"


class Servers:
    """Kafka and Cassandra as `services/services` starts them: a pair of the proof's own, wiped in the end, or the
    one that the environment tells of."""

    def __init__(self, in_place):
        self.is_own = not in_place
        jars = pathlib.Path(os.environ.get("SERVICES_HOME", HOME / "sluice-services")) / "libs"
        home = pathlib.Path(f"{jars.parent}-faults")
        self.environment = dict(os.environ)
        if self.is_own:
            self.environment |= OWN | {"SERVICES_HOME": str(home)}
            home.mkdir(parents=True, exist_ok=True)
            if jars.exists() and not (home / "libs").exists():
                (home / "libs").symlink_to(jars)
        missing = [name for name in OWN if name.endswith("_PORT") and name not in self.environment]
        if missing:
            raise Failed(f"with --in-place the environment must tell {', '.join(missing)}: see `services/services help`")
        self.brokers, self.cassandra, self.proxied = map(self._at, ("KAFKA_PORT", "CASSANDRA_PORT", "KAFKA_PROXIED_PORT"))
        # Where Kafka sends those back who come through a proxy.
        self.proxy_port = int(self.environment["KAFKA_PROXY_PORT"])

    def _at(self, port):
        return f"127.0.0.1:{self.environment[port]}"

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        if self.is_own:
            self("wipe")
        else:
            self.up()

    def __call__(self, *verb):
        done = subprocess.run(
            [ROOT / "services" / "services", *verb], env=self.environment, capture_output=True, text=True, timeout=400
        )
        if done.returncode:
            raise Failed(f"services {' '.join(verb)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def up(self, *which):
        """Starts what does not run, and waits until it answers."""
        self("up", *which)

    def crash(self, which):
        """kill -9."""
        self("kill", which)
