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
IN_FLIGHT = 2000  # of all senders together, as end_to_end() has them


def at_once(bench, names):
    """Sends an equal share of the alerts to one daemon for each database named, at the same time."""
    share = bench.count // len(names)
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(daemon(bench.directory, database, mix.SEVEN_RULES, f"bench-{number}"))
                   for number, database in enumerate(names)]  # fmt: skip
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(names)))
        server_cpu = databases.server_cpu_s()
        runs = [pool.submit(send, each.endpoint, share, f"share-{number}", senders=1, window=IN_FLIGHT // len(names))
                for number, each in enumerate(running)]  # fmt: skip
        start = min(run.result()["start"] for run in runs)
        end = max(each.wait_stored(share) for each in running)
        server_cpu = databases.server_cpu_s() - server_cpu
    stored = len(names) * share
    return {"rate": stored / (end - start), "server_cpu_us": server_cpu / stored * 1e6}


def two_daemons(bench, _):
    """From the same devices: they share incidents."""
    return at_once(bench, 2 * [databases.create("bench")])


def four_databases(bench, _):
    """One municipality each: they share only the server."""
    names = [databases.create(f"bench_{number}") for number in range(4)]
    try:
        return at_once(bench, names)
    finally:
        for name in names:
            databases.drop(name)


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
    "copy": Measurement("plain COPY", copy, lambda bench: bench.count / 80_000 + 1,
                        "writing the files of the plain COPY", copy_files, lambda bench: bench.count / 60_000),
    "incidents": Measurement("end to end with incidents", incidents, lambda bench: bench.count / 22_000 + 3),
    "store": Measurement("end to end, store only", store, lambda bench: bench.count / 33_000 + 3),
    "enrich": Measurement("device, place, areas and rule", enrich, lambda bench: 5),
    "two": Measurement("two daemons, one database", two_daemons, lambda bench: bench.count / 22_000 + 5),
    "four": Measurement("four databases, a daemon each", four_databases, lambda bench: bench.count / 22_000 + 10),
    "python": Measurement("a Python script", python, lambda bench: bench.count / 17_000 + 2),
    "rsyslog": Measurement("rsyslog", rsyslog, lambda bench: bench.count / 12_000 + 2,
                           "fetching rsyslog, where it is missing", rsyslog_packages, lambda bench: 2),
}  # fmt: skip
