"""Measurements of latency: from sending an alert to its ACK, until it is in the database, and until a page of the board has the
change of its incident."""
import bisect
import contextlib
import os
import re
import socket
import statistics
import tempfile
import threading
import time

import psycopg

import databases
import mix
from daemons import PATIENCE_S, POLL, daemon, send
from measurement import Measurement
from viewers import HEADERS, PERSON, board

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

    def __init__(self, database, look_s=LOOK_S):
        self.seen, self.over, self.look_s = [(0, 0.0)], threading.Event(), look_s
        self.connection = psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True)
        self.pid = self.connection.info.backend_pid
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self):
        while not self.over.wait(self.look_s):
            position = self.connection.execute("select coalesce(max(position), 0) from mobeye.journal_position").fetchone()[0]
            if position > self.seen[-1][0]:
                self.seen.append((position, time.monotonic()))

    def wait(self, position):
        while self.seen[-1][0] < position:
            self.over.wait(self.look_s)

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


class Page:
    """A page that follows the changes: notes what has arrived and when, and reads it afterwards."""

    def __init__(self, port):
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        self.peer, self.parts, self.length = socket.create_connection(("127.0.0.1", port)), [], 0
        self.peer.sendall(f"GET /api/changes HTTP/1.1\r\nHost: board\r\n{head}\r\n".encode())
        self.thread = threading.Thread(target=self._receive)
        self.thread.start()

    def _receive(self):
        with contextlib.suppress(OSError):
            while part := self.peer.recv(1 << 20):
                self.length += len(part)
                self.parts.append((self.length, time.monotonic(), part))

    def text(self):
        return b"".join(part for _, _, part in list(self.parts)).decode()

    def wait(self, text):
        end = time.monotonic() + PATIENCE_S
        while text not in self.text():
            if time.monotonic() > end or not self.thread.is_alive():
                raise SystemExit(f"bench: the board did not send {text!r}")
            POLL.wait(0.05)

    def arrivals(self):
        """{change_id: when all of its event was there}"""
        ends, stream = [length for length, _, _ in self.parts], self.text()
        return {int(event[1]): self.parts[bisect.bisect_left(ends, event.end())][1]
                for event in re.finditer(r"^id: (\d+)\nevent: change\ndata: .*\n\n", stream, re.M)}  # fmt: skip

    def close(self):
        with contextlib.suppress(OSError):
            self.peer.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.peer.close()


# A batch adds one change for each of its incidents, in the transaction that stores its alerts.
CHANGES = """
select a.journal_seq, c.change_id
  from mobeye.alert a left join mobeye.change c on c.incident_id = a.incident_id and c.at = a.stored_at
 where a.incident_id is not null
"""


def event(bench, _):
    """Alerts that only are stored have no event."""
    database, count = databases.create("bench"), bench.seconds * RATE
    databases.psql(database, PERSON)
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(daemon(bench.directory, database, mix.SEVEN_RULES))
        page = stack.enter_context(contextlib.closing(Page(stack.enter_context(board(bench.directory, database)))))
        page.wait("event: heartbeat")
        times = stack.enter_context(tempfile.NamedTemporaryFile(dir=bench.directory))
        send(running.endpoint, count, "event", rate=RATE, times=times.name)
        running.wait_stored(count)
        rows = [line.split("|") for line in databases.psql(database, CHANGES).splitlines()]
        changes = {int(seq): int(change) for seq, change in rows}
        page.wait(f"id: {max(changes.values())}\n")
        arrivals, journeys = page.arrivals(), [line.split() for line in times.read().decode().splitlines()]
    took = sorted(arrivals[changes[int(seq)]] - float(sent) for seq, sent, _ in journeys if int(seq) in changes)
    return {"event_p50_us": percentile(took, 50) * 1e6, "event_p99_us": percentile(took, 99) * 1e6, "events": len(arrivals),
            "alerts": len(took)}  # fmt: skip


MEASUREMENTS = {
    "latency": Measurement(f"{RATE:,} alerts a second", latency, lambda bench: bench.seconds + 4),
    "event": Measurement(f"{RATE:,} alerts a second, with a page of the board", event, lambda bench: bench.seconds + 6),
}
