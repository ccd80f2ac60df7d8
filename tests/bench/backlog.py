"""Measurements of the journal: accepted while the database is down, then drained."""
import contextlib
import os
import pathlib
import struct
import tempfile
import time

import databases
import mix
from daemons import daemon, send
from measurement import Measurement

DEVICES = 100_000
TEMPLATE = "mobeye_devices"


def frames(file):
    """[(offset, length)] of the frames of a segment: daemon/journal/FORMAT.md."""
    found, offset = [], 0
    with open(file, "rb") as segment:
        while True:
            segment.seek(offset)
            header = segment.read(20)
            if header[:8] != b"mobeyeJ\n":
                return found
            (length,) = struct.unpack_from("<I", header, 16)
            found.append((offset, length))
            offset += length


def write_synced(directory, segments):
    """The same frames once more, one write and one fdatasync each, into files of the same size. Returns the seconds."""
    seconds = 0.0
    for segment in segments:
        content = segment.read_bytes()
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            os.posix_fallocate(file.fileno(), 0, len(content))
            os.fsync(file.fileno())
            whole = memoryview(content)
            start = time.monotonic()
            for offset, length in frames(segment):
                os.pwrite(file.fileno(), whole[offset : offset + length], offset)
                os.fdatasync(file.fileno())
            seconds += time.monotonic() - start
    return seconds


def backlog(bench, _):
    database, count, resident = databases.create("bench", TEMPLATE), bench.backlog, []
    with daemon(bench.directory, database, mix.SEVEN_RULES) as running:
        databases.server("stop")
        try:
            cpu = running.cpu_s()
            sent = send(running.endpoint, count, "backlog")
            accept_cpu = running.cpu_s() - cpu
            waiting_mib = running.rss_mib()
            segments = sorted(running.journal.glob("*.seg"))
            synced_s = write_synced(bench.directory, segments)
            groups = sum(len(frames(segment)) for segment in segments)
        finally:
            databases.server("start")
        running.wait("database_up", 1)
        start = time.monotonic()
        end = running.wait_stored(count, lambda done: resident.append((done, running.rss_mib())))
    first = [mib for done, mib in resident if done < count / 2]
    return {
        "accept_rate": count / sent["seconds"],
        "accept_cpu_us": accept_cpu / count * 1e6,
        "synced_rate": count / synced_s,
        "alerts_a_sync": count / groups,
        "waiting_mib": waiting_mib,
        "drain_rate": count / (end - start),
        "drain_mib": max(mib for _, mib in resident),
        "first_half_mib": max(first, default=waiting_mib),
    }


@contextlib.contextmanager
def many_devices(bench):
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        databases.create(TEMPLATE)
        databases.import_devices(TEMPLATE, pathlib.Path(directory), DEVICES)
    yield
    databases.drop(TEMPLATE)


MEASUREMENTS = {
    "backlog": Measurement("a backlog", backlog, lambda bench: bench.backlog / 200_000 + bench.backlog / 25_000 + 5,
                           f"importing {DEVICES:,} devices", many_devices, lambda bench: 20,
                           runs=lambda bench: max(1, bench.runs // 2)),
}  # fmt: skip
