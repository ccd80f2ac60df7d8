"""Measurements of latency: from sending an alert to its ACK, and until it is in the database."""
import bisect
import os
import statistics
import tempfile
import threading
import time

import psycopg

import databases
import mix
from daemons import daemon, send
from measurement import Measurement

RATE = 1000
LOOK_S = 0.002


def fdatasync_us(directory):
    """One write of 512 bytes and its fdatasync, the median, on the disk that the journal is on."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        took = []
        for number in range(500):
            start = time.monotonic()
            os.pwrite(file.fileno(), b"x" * 512, number * 512)
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - start)
    return statistics.median(took) * 1e6


class PositionWatch:
    """When the journal's position moved in the database: it is stored in the transaction that makes alerts visible."""

    def __init__(self, database):
        self.seen, self.over = [(0, 0.0)], threading.Event()
        self.connection = psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True)
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self):
        while not self.over.wait(LOOK_S):
            position = self.connection.execute("select coalesce(max(position), 0) from mobeye.journal_position").fetchone()[0]
            if position > self.seen[-1][0]:
                self.seen.append((position, time.monotonic()))

    def wait(self, position):
        while self.seen[-1][0] < position:
            self.over.wait(LOOK_S)

    def stop(self):
        self.over.set()
        self.thread.join()
        self.connection.close()

    def when(self, seq):
        """The first look that found it."""
        return self.seen[bisect.bisect_left(self.seen, (seq, 0.0))][1]


def percentile(sorted_values, percent):
    return sorted_values[min(len(sorted_values) * percent // 100, len(sorted_values) - 1)]


def latency(bench, _):
    disk_us = fdatasync_us(bench.directory)
    database, count = databases.create("bench"), bench.seconds * RATE
    with daemon(bench.directory, database, mix.SEVEN_RULES) as running, tempfile.NamedTemporaryFile(dir=bench.directory) as times:
        watch = PositionWatch(database)
        try:
            ack = send(running.endpoint, count, "latency", rate=RATE, times=times.name)
            running.wait_stored(count)
            watch.wait(count)
        finally:
            watch.stop()
        journeys = [line.split() for line in times.read().decode().splitlines()]
    visible = int(databases.psql(database, "select count(*) from patrol.alerts"))
    if visible != count:
        raise SystemExit(f"bench: patrol.alerts shows {visible} alerts (expected {count})")
    took = sorted(watch.when(int(seq)) - float(sent) for seq, sent, _ in journeys)
    return {"fdatasync_us": disk_us, "ack_p50_us": ack["p50_us"], "ack_p99_us": ack["p99_us"], "ack_max_us": ack["max_us"],
            "visible_p50_us": percentile(took, 50) * 1e6, "visible_p99_us": percentile(took, 99) * 1e6}  # fmt: skip


MEASUREMENTS = {
    "latency": Measurement(f"{RATE:,} alerts a second", latency, lambda bench: bench.seconds + 4),
}
