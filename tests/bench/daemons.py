"""mobeyed with its own journal, on the disk of the build, and the sender of the load."""
import contextlib
import json
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

from databases import BUILD, conninfo, process_cpu_s

POLL = threading.Event()  # never set: the pause between two looks
PATIENCE_S = 60
CONFIG = """instance: {name}
database: {{conninfo: "{conninfo}"}}
journal: {{directory: {directory}/journal, max_size: 8GiB}}
endpoints:
  - {{name: bench, bind: "{endpoint}", socket: router, format: cloudevents}}
http: {{listen: "127.0.0.1:0"}}
bounds: [3.2, 50.7, 7.3, 53.6]
rules:
{rules}"""


def wait_until_done(look, wanted, tick=lambda done: None):
    """Polls rarely at first and more often towards the end, so that polling costs nothing: look() returns how many are
    done. Returns when all were."""
    start = moved = time.monotonic()
    before = 0
    while True:
        done, now = look(), time.monotonic()
        tick(done)
        if done >= wanted:
            return now
        if done > before:
            before, moved = done, now
        elif now > moved + PATIENCE_S:
            raise SystemExit(f"bench: {done:.0f} of {wanted} alerts were stored, and none for {PATIENCE_S} s")
        rate = done / (now - start + 1e-6)
        POLL.wait(min(max((wanted - done) / rate / 2, 0.005), 0.5) if rate else 0.02)


class Daemon:
    def __init__(self, directory, database, rules, name="bench"):
        self.endpoint = f"ipc://{directory}/in"
        self.journal = pathlib.Path(directory, "journal")
        file = pathlib.Path(directory, "mobeyed.yaml")
        file.write_text(CONFIG.format(name=name, conninfo=conninfo(database), directory=directory, endpoint=self.endpoint, rules=rules))
        self.log = open(pathlib.Path(directory, "log"), "w+")
        self.process = subprocess.Popen([BUILD / "mobeyed", "-c", file], stderr=self.log)
        self.port = None

    def wait_ready(self):
        """Waits until it has devices and areas in memory and a database to store in."""
        while self.port is None:
            self.log.seek(0)
            ports = [line.split()[-1] for line in self.log if "/readyz on port" in line and line.endswith("\n")]
            self.port = int(ports[0]) if ports else None
            self._check()
            POLL.wait(0.01)
        while not (self.metrics()["mobeyed_database_up"] and self.metrics()["mobeyed_registry_loaded"]):
            POLL.wait(0.02)

    def _check(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: the daemon ended:\n{pathlib.Path(self.log.name).read_text()}")

    def metrics(self):
        self._check()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def wait(self, name, wanted):
        while self.metrics()["mobeyed_" + name] < wanted:
            POLL.wait(0.01)

    def wait_stored(self, count, tick=lambda done: None):
        """Returns the monotonic time at which this many alerts were in the database."""

        def settled():
            metrics = self.metrics()
            return sum(metrics[f"mobeyed_{what}_total"] for what in ("committed", "duplicate", "quarantined"))

        end = wait_until_done(settled, count, tick)
        committed = self.metrics()["mobeyed_committed_total"]
        if committed != count:
            raise SystemExit(f"bench: {committed:.0f} alerts were stored (expected {count}); the log:\n"
                             f"{pathlib.Path(self.log.name).read_text()}")  # fmt: skip
        return end

    def cpu_s(self):
        return process_cpu_s(self.process.pid)

    def rss_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self):
        """As systemd does, including killing it if that takes too long."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def daemon(parent, database, rules, name="bench"):
    with tempfile.TemporaryDirectory(dir=parent, prefix="d.") as directory:
        running = Daemon(directory, database, rules, name)
        try:
            running.wait_ready()
            yield running
            status = running.stop()
            if status != 0:
                raise SystemExit(f"bench: the daemon exited with {status}:\n{pathlib.Path(running.log.name).read_text()}")
        finally:
            running.process.kill()
            running.process.wait()
            running.log.close()


def sender_command(count, run, *flags, **options):
    command = [BUILD / "tests" / "bench_send", "--count", str(count), "--run", run, *flags]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return command


def send(endpoint, count, run, *flags, **options):
    """Sends, waits until all have a reply, and returns what bench_send measured."""
    done = subprocess.run(sender_command(count, run, *flags, to=endpoint, **options), check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)
