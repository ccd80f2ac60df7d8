"""Measurement of the board: the queue of 500 open incidents for one of many viewers, how soon a change reaches all of them,
and what they cost the database."""
import contextlib
import http.client
import json
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time

import psycopg

import databases
from daemons import PATIENCE_S, POLL
from measurement import Measurement

INCIDENTS, READINGS, CHANGES = 500, 300, 20
SECRET = "secret-of-the-benchmark"
HEADERS = {"X-Remote-User": "bench", "X-Proxy-Secret": SECRET}
CONFIG = """listen: "127.0.0.1:{port}"
database: {{conninfo: "{conninfo}"}}
identity: {{header: X-Remote-User, secret: {{header: X-Proxy-Secret, file: {directory}/secret}}}}
"""
PERSON = "insert into mobeye.person values ('bench', 'Bench', null, true)"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def request_queue(connection):
    connection.request("GET", "/api/queue", headers=HEADERS)
    reply = connection.getresponse()
    return reply.status, reply.read()


def wait_ready(port, process, log):
    """Waits until it serves the queue: it listens before it has a connection to the database."""
    end = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            status, _ = request_queue(connection)
            connection.close()
            if status == 200:
                return
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("bench: the board is not ready:\n" + "".join(log))
        POLL.wait(0.02)


@contextlib.contextmanager
def board(parent, database):
    """The port of a running board."""
    with tempfile.TemporaryDirectory(dir=parent, prefix="b.") as directory:
        port, conninfo = free_port(), databases.conninfo(database, "mobeye_board")
        for name, text in (("secret", SECRET), ("board.yaml", CONFIG.format(port=port, conninfo=conninfo, directory=directory))):
            with open(f"{directory}/{name}", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                print(text, file=file)
        log = []
        with subprocess.Popen([databases.BUILD / "mobeye-board", "-c", f"{directory}/board.yaml"], stderr=subprocess.PIPE, text=True) as process:
            reader = threading.Thread(target=lambda: log.extend(process.stderr))
            reader.start()
            try:
                wait_ready(port, process, log)
                yield port
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)
            finally:
                process.kill()
                reader.join()


class Viewers:
    """Pages that follow the changes; each notes when an event has arrived."""

    def __init__(self, port, count):
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        self.selector, self.texts = selectors.DefaultSelector(), {}
        for _ in range(count):
            peer = socket.create_connection(("127.0.0.1", port))
            peer.sendall(f"GET /api/changes HTTP/1.1\r\nHost: board\r\n{head}\r\n".encode())
            self.selector.register(peer, selectors.EVENT_READ)
            self.texts[peer] = ""

    def wait(self, text):
        """Returns when the last one had it."""
        waiting, end = {peer for peer, seen in self.texts.items() if text not in seen}, time.monotonic() + PATIENCE_S
        while waiting:
            if time.monotonic() > end:
                raise SystemExit(f"bench: {len(waiting)} of {len(self.texts)} viewers did not receive {text!r}")
            for key, _ in self.selector.select(1):
                part = key.fileobj.recv(65536).decode()
                if not part:
                    raise SystemExit("bench: the board closed a viewer's connection")
                self.texts[key.fileobj] = self.texts[key.fileobj][-1000:] + part
                if text in self.texts[key.fileobj]:
                    waiting.discard(key.fileobj)
        return time.monotonic()

    def close(self):
        for peer in self.texts:
            peer.close()
        self.selector.close()


@contextlib.contextmanager
def following(port, count):
    """Viewers who have had their first heartbeat: they are up to date."""
    pages = Viewers(port, count)
    try:
        pages.wait("event: heartbeat")
        yield pages
    finally:
        pages.close()


def percentile(values, percent):
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def time_queue(port):
    connection, took = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S), []
    for _ in range(READINGS):
        start = time.monotonic()
        status, body = request_queue(connection)
        took.append(time.monotonic() - start)
        if status != 200 or len(json.loads(body)["incidents"]) != INCIDENTS:
            raise SystemExit(f"bench: the board's reply is {status}: {body[:200]} (expected {INCIDENTS} incidents)")
    connection.close()
    return took


def time_sql(database):
    """The same rows, as JSON, by a connection of its own."""
    took = []
    with psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True) as connection:
        connection.execute("set session authorization mobeye_board")
        for _ in range(READINGS):
            start = time.monotonic()
            connection.execute("select http_status, body from patrol.board('bench', 'queue', null, null)").fetchone()
            took.append(time.monotonic() - start)
    return took


def change_often(pages, database):
    """The seconds from the commit of each change until the last viewer has it."""
    took = []
    with psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True) as connection:
        for number in range(CHANGES):
            connection.execute("select mobeye.add_change(min(incident_id) + %s, 'alert') from mobeye.incident", [number])
            start = time.monotonic()
            connection.execute("select patrol.number_changes()")
            change = connection.execute("select max(change_id) from mobeye.change").fetchone()[0]
            took.append(pages.wait(f"id: {change}\n") - start)
    return took


def count_statements(parent, database, count):
    """What the board sends the server for each change, while so many viewers follow; by the server's log."""
    log = pathlib.Path(os.environ["MOBEYE_PG_DATA"]).parent / "log"
    databases.psql("postgres", f"alter role mobeye_board in database {database} set log_min_duration_statement = 0")

    def statements():
        return sum(" mobeye_board LOG:  duration:" in line for line in log.read_text(errors="replace").splitlines())

    with board(parent, database) as port, following(port, count) as pages:
        before = statements()
        change_often(pages, database)
        after = statements()
    databases.psql("postgres", f"alter role mobeye_board in database {database} reset log_min_duration_statement")
    return (after - before) / CHANGES


def viewers(bench, _):
    database = databases.create("bench")
    databases.psql(database, PERSON)
    databases.open_incidents(database, INCIDENTS)
    sql = time_sql(database)
    with board(bench.directory, database) as port, following(port, bench.viewers) as pages:
        queue, changed = time_queue(port), change_often(pages, database)
        listening = int(databases.psql("postgres", "select count(*) from pg_stat_activity where usename = 'mobeye_board'"))
    many, one = (count_statements(bench.directory, database, count) for count in (bench.viewers, 1))
    return {"queue_p50_ms": percentile(queue, 50) * 1e3, "queue_p99_ms": percentile(queue, 99) * 1e3,
            "sql_p50_ms": percentile(sql, 50) * 1e3, "sql_p99_ms": percentile(sql, 99) * 1e3,
            "change_p50_ms": percentile(changed, 50) * 1e3, "change_max_ms": max(changed) * 1e3, "sessions": listening,
            "statements": many, "statements_of_one": one}  # fmt: skip


MEASUREMENTS = {
    "viewers": Measurement("the board with many viewers", viewers, lambda bench: 60, runs=lambda bench: 1, warm_up=False),
}
