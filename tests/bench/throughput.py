"""Measurements end to end, sent until stored: mobeyed, and what it is compared with."""
import concurrent.futures
import contextlib
import json
import pathlib
import subprocess
import tempfile
import time

import copy_reference
import databases
import mix
import rsyslog_peer
from daemons import daemon, send, wait_until_done
from measurement import Measurement


@contextlib.contextmanager
def copy_files(bench):
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        yield copy_reference.write_files(pathlib.Path(directory), bench.count)


def copy(bench, script):
    return copy_reference.copy_all(script, bench.count)


def end_to_end(bench, rules):
    database = databases.create("bench")
    with daemon(bench.directory, database, rules) as running:
        cpu, server_cpu = running.cpu_s(), databases.server_cpu_s()
        sent = send(running.endpoint, bench.count, "e2e")
        seconds = running.wait_stored(bench.count) - sent["start"]
        return {
            "rate": bench.count / seconds,
            "cpu_us": (running.cpu_s() - cpu) / bench.count * 1e6,
            "server_cpu_us": (databases.server_cpu_s() - server_cpu) / bench.count * 1e6,
            "ack_rate": bench.count / sent["seconds"],
            "rss_mib": running.rss_mib(),
        }


def incidents(bench, _):
    return end_to_end(bench, mix.SEVEN_RULES)


def store(bench, _):
    return end_to_end(bench, mix.STORE_ONLY)


HERE = pathlib.Path(__file__).resolve().parent
def two_daemons(bench, _):
    """Half of the alerts to each, at the same time, of the same devices: they share incidents."""
    database, half = databases.create("bench"), bench.count // 2
    with (daemon(bench.directory, database, mix.SEVEN_RULES, "first") as first,
          daemon(bench.directory, database, mix.SEVEN_RULES, "second") as second,
          concurrent.futures.ThreadPoolExecutor(2) as pool):  # fmt: skip
        runs = [pool.submit(send, each.endpoint, half, name, senders=1)
                for each, name in ((first, "first"), (second, "second"))]  # fmt: skip
        start = min(run.result()["start"] for run in runs)
        end = max(first.wait_stored(half), second.wait_stored(half))
    return {"rate": 2 * half / (end - start)}


def enrich(_bench, _):
    return json.loads(subprocess.run([databases.BUILD / "tests" / "bench_enrich"], check=True, stdout=subprocess.PIPE).stdout)


PYTHON_TABLES = """
create table alert (source text, event_id text, device text collate "C", kind text, occurred_at timestamptz,
                    received_at timestamptz, payload jsonb);
create index on alert (device, occurred_at);
"""


def python(bench, _):
    database = databases.create("bench", "template0")
    databases.psql(database, PYTHON_TABLES)
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        endpoint = f"ipc://{directory}/in"
        command = ["/usr/bin/python3", HERE / "python_peer", endpoint, databases.conninfo(database, "postgres"), str(bench.count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as peer:
            try:
                peer.stdout.readline()
                sent = send(endpoint, bench.count, "python")
                printed = peer.stdout.readline()
                seconds = time.monotonic() - sent["start"]
            finally:
                peer.kill()
    return {"rate": bench.count / seconds, **json.loads(printed)}


def rsyslog(bench, _):
    database = databases.create("bench", "template0")
    databases.psql(database, "create table alert (received_at timestamptz, payload text)")
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        endpoint = f"ipc://{directory}/in"
        with rsyslog_peer.rsyslog(directory, endpoint, database, bench.count):
            sent = send(endpoint, bench.count, "rsyslog", "--push")
            end = wait_until_done(lambda: int(databases.psql(database, "select count(*) from alert")), bench.count)
    return {"rate": bench.count / (end - sent["start"])}


@contextlib.contextmanager
def rsyslog_packages(_):
    rsyslog_peer.unpack()
    yield


MEASUREMENTS = {
    "copy": Measurement("bare COPY", copy, lambda bench: bench.count / 80_000 + 1,
                        "writing the files of the bare COPY", copy_files, lambda bench: bench.count / 60_000),
    "incidents": Measurement("end to end with incidents", incidents, lambda bench: bench.count / 22_000 + 3),
    "store": Measurement("end to end, store only", store, lambda bench: bench.count / 33_000 + 3),
    "enrich": Measurement("device, place, areas and rule", enrich, lambda bench: 5),
    "two": Measurement("two daemons, one database", two_daemons, lambda bench: bench.count / 22_000 + 5),
    "python": Measurement("a Python script", python, lambda bench: bench.count / 17_000 + 2),
    "rsyslog": Measurement("rsyslog", rsyslog, lambda bench: bench.count / 12_000 + 2,
                           "fetching rsyslog, where it is missing", rsyslog_packages, lambda bench: 2),
}  # fmt: skip
