"""A pair of servers of the proof's own, to be stopped and killed."""
import os
import pathlib
import signal
import subprocess

from under_faults.world import ROOT, Failed

KAFKA, CONTROLLER, PROXIED, PROXY, CASSANDRA, STORAGE, JMX = 27_092, 27_093, 27_094, 27_095, 27_042, 27_070, 27_099


class Servers:
    """Kafka and Cassandra as `services/services` starts them, in a home beside that of the pair that is used
    otherwise: their jars are the same."""

    brokers, cassandra = f"127.0.0.1:{KAFKA}", f"127.0.0.1:{CASSANDRA}"
    # Where Kafka listens for a proxy, and where it sends those who come through it.
    proxied, proxy_port = f"127.0.0.1:{PROXIED}", PROXY

    def __init__(self, args):
        self.home = args.servers_home
        self.environment = os.environ | {
            "SERVICES_HOME": str(self.home), "KAFKA_PORT": str(KAFKA), "KAFKA_CONTROLLER_PORT": str(CONTROLLER),
            "KAFKA_PROXIED_PORT": str(PROXIED), "KAFKA_PROXY_PORT": str(PROXY), "KAFKA_HEAP": "512M",
            "CASSANDRA_PORT": str(CASSANDRA), "CASSANDRA_STORAGE_PORT": str(STORAGE),
            "CASSANDRA_JMX_PORT": str(JMX), "CASSANDRA_HEAP": "1G", "SERVICES_SECURE": "",
        }
        self.home.mkdir(parents=True, exist_ok=True)
        libs = self.home / "libs"
        if args.jars and not libs.exists():
            libs.symlink_to(args.jars)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self("wipe")

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

    def freeze(self, which, number=signal.SIGSTOP):
        """It keeps its connections and answers nothing more; SIGCONT thaws it."""
        os.kill(int(pathlib.Path(self.home / "run" / f"{which}.pid").read_text()), number)
