"""Measurement of the region of systemd/SIZING.md: four databases on one server, a daemon each, at the rates computed there. How soon
is an alert visible, and what do daemons and server take?"""
import concurrent.futures
import contextlib
import tempfile
import time

import databases
import mix
from daemons import daemon, send
from latency import PositionWatch, percentile
from measurement import Measurement

DATABASES = 4
SETS = 3200
# Alerts a second of all sets together, and how many times --seconds each lasts.
PHASES = {"average": (0.15, 30), "New Year's hour": (18, 6), "its worst minute": (180, 6)}
LOOK_S = 0.005


class Load:
    """The daemons, and what they have stored so far."""

    def __init__(self, bench, names, stack):
        self.directory, self.sent = bench.directory, 0
        self.daemons = [stack.enter_context(daemon(bench.directory, name, mix.SEVEN_RULES, name)) for name in names]
        self.watches = [PositionWatch(name, LOOK_S) for name in names]
        for watch in self.watches:
            stack.callback(watch.stop)
        self.pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(names)))

    def cpu_s(self):
        """Of the daemons and of the server, without the sessions that look."""
        return (sum(each.cpu_s() for each in self.daemons) + databases.server_cpu_s()
                - sum(databases.process_cpu_s(watch.pid) for watch in self.watches))  # fmt: skip

    def _send(self, one, watch, count, rate):
        """Seconds from sending until visible, of each alert."""
        with tempfile.NamedTemporaryFile(dir=self.directory) as times:
            send(one.endpoint, count, "region", first=self.sent, devices=SETS // DATABASES, zipf=0, rate=rate, times=times.name)
            one.wait_stored(self.sent + count)
            watch.wait(self.sent + count)
            return [watch.when(int(seq)) - float(sent) for seq, sent, _ in map(str.split, times.read().decode().splitlines())]

    def phase(self, rate, seconds):
        share = rate / DATABASES
        count = max(round(share * seconds), 1)
        cpu, start = self.cpu_s(), time.monotonic()
        runs = [self.pool.submit(self._send, one, watch, count, share) for one, watch in zip(self.daemons, self.watches)]
        took = sorted(second for run in runs for second in run.result())
        self.sent += count
        return {"alerts": len(took), "rate": rate, "p50_ms": percentile(took, 50) * 1e3, "p99_ms": percentile(took, 99) * 1e3,
                "cores": (self.cpu_s() - cpu) / (time.monotonic() - start)}  # fmt: skip


def region(bench, _):
    with contextlib.ExitStack() as stack:
        names = [f"bench_{number}" for number in range(DATABASES)]
        for name in names:
            stack.callback(databases.drop, databases.create(name))
        load = Load(bench, names, stack)
        phases = {name: load.phase(rate, times * bench.seconds) for name, (rate, times) in PHASES.items()}
        connections = databases.psql("postgres", "select count(*) from pg_stat_activity where usename = 'mobeye_ingest'")
        return {"phases": phases, "daemons_mib": sum(databases.pss_mib(each.process.pid) for each in load.daemons),
                "server_mib": databases.server_mib(), "connections": int(connections)}  # fmt: skip


MEASUREMENTS = {
    "region": Measurement("a region: four databases, a daemon each", region,
                          lambda bench: bench.seconds * sum(times for _, times in PHASES.values()) + 15,
                          runs=lambda bench: 1, warm_up=False),
}  # fmt: skip
