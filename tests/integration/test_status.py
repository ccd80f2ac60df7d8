"""mobeyectl status: what it knows of the daemon, of the database, and of neither."""
import http.server
import json
import os
import pty
import re
import signal
import subprocess
import threading
import uuid

import pytest
from psycopg.conninfo import make_conninfo

from harness.alerts import alerts
from harness.board import Board
from harness.daemon import mobeyectl
from harness.paths import BRIDGE, MOBEYECTL, free_port
from harness.peers import Dealer
from harness.wait import wait_until

REPORTED = """insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at, last_occurred_at,
    endpoint, source, kind, silent_since) values (%s, true, now(), now() - interval '3 hours', now(), 'door', '/me', 'motion', %s)
    on conflict (device_id) do update set endpoint = excluded.endpoint, last_received_at = excluded.last_received_at,
        silent_since = excluded.silent_since"""


def status(daemon, conninfo):
    done = mobeyectl("status", "-c", daemon.file, "--db", str(conninfo), "--json")
    return json.loads(done.stdout)


def test_silent_devices_and_new_rules_are_told(daemon, database):
    database.execute("insert into mobeye.device (device_id, heartbeat, registered_at) values ('NL-1', '1 hour', now() - interval '9 days')")
    database.execute("insert into mobeye.placement (device_id, during, geom) values ('NL-1', tstzrange(now() - interval '8 days', null), "
                     "'srid=4326;point(5.38 52.19)')")
    database.execute(REPORTED, "NL-1", "2026-11-23 21:00:00+00")
    database.execute(REPORTED, "NL-2", None)
    # The daemon puts its own there, once it is connected.
    wait_until(lambda: database.value("select count(*) from mobeye.ruleset") > 0, "the rules are in the database")
    database.execute("update mobeye.ruleset set applied_at = now() - interval '48 hours'")
    seen = status(daemon, database.conninfo)
    assert seen["ok"] and seen["database"]["silent"] == 1
    assert 172800 <= seen["database"]["rules_changed_seconds_ago"] < 180000
    shown = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo).stdout
    assert "1 silent" in shown and "last changed 2 d" in shown


@pytest.fixture
def stranger(database):
    """A role that sees of the database only that it is one of mobeyed."""
    name = "stranger_" + uuid.uuid4().hex[:12]
    database.execute(f"create role {name}; grant usage on schema mobeye to {name}; grant select on mobeye.quarantine to {name}")
    yield make_conninfo(database.conninfo, options=f"-c role={name}")
    database.execute(f"drop owned by {name}; drop role {name}")


def test_what_the_role_may_not_read_is_not_known_and_no_failure(daemon, database, stranger):
    wait_until(lambda: database.value("select count(*) from mobeye.ruleset") > 0, "the daemon is connected")
    done = mobeyectl("status", "-c", daemon.file, "--db", stranger)
    assert done.returncode == 0 and not done.stderr
    assert "silent: unknown" in done.stdout
    seen = status(daemon, stranger)
    assert seen["ok"] and seen["database"]["silent"] is None and seen["database"]["quarantined"] == 0


def test_the_role_of_the_daemon_knows_all_of_it(daemon, database):
    database.execute("insert into mobeye.mute (device_id, until, reason, muted_by) values ('NL-1', now() + interval '1 hour', 'test', 'me'), "
                     "('NL-2', now() + interval '1 second', 'past', 'me')")
    database.execute("update mobeye.mute set at = at - interval '1 day', until = until - interval '1 day' where device_id = 'NL-2'")
    wait_until(lambda: database.value("select count(*) from mobeye.ruleset") > 0, "the rules are in the database")
    seen = status(daemon, database.ingest)["database"]
    assert seen["muted"] == 1 and seen["silent"] == 0 and seen["rules_changed_seconds_ago"] >= 0


def test_the_last_message_outlives_the_daemon(daemon, database, dealer):
    dealer.deliver(alerts(3))
    wait_until(lambda: database.value("select sum(alerts) from mobeye.device_status") == 3, "the device's status is written")
    database.execute(REPORTED, "NL-1", None)
    database.execute("update mobeye.device_status set last_received_at = now() - interval '3 hours'")
    assert status(daemon, database.conninfo)["endpoints"][0]["last_received"] > 0
    daemon.stop()
    done = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo)
    assert done.returncode == 1 and "3 h 0 min ago" in done.stdout.split("door")[1]
    daemon.start()
    # Nothing has come since it started: it is the database that remembers.
    assert status(daemon, database.conninfo)["endpoints"][0]["last_received"] > 0


def test_without_a_configuration_the_database_is_shown(daemon, database, dealer, tmp_path):
    dealer.deliver(alerts(3))
    database.wait_stored(3)
    file = tmp_path / "bad.yaml"
    file.write_text("nonsense: 1\n")
    done = mobeyectl("status", "-c", file, "--db", database.conninfo)
    assert done.returncode == 1 and "daemon, journal and endpoints are not shown" in done.stderr
    assert "not shown: the configuration file cannot be read" in done.stdout
    assert re.search(r"last stored \d+ s ago\n +0 in quarantine\n", done.stdout) and "endpoint" not in done.stdout, done.stdout
    seen = json.loads(mobeyectl("status", "-c", file, "--db", database.conninfo, "--json").stdout)
    assert not seen["ok"] and not seen["daemon"]["up"] and seen["database"]["up"] and seen["endpoints"] == []


def test_an_outage_says_for_how_long_and_when_the_journal_is_full(daemons, database, context, tmp_path):
    """The daemon cannot reach its database, the person can."""
    daemon = daemons(f"host={tmp_path} dbname=mobeye", max_size="64MiB").start()
    Dealer(context, daemon.address()).deliver(alerts(3))

    def shown():
        return mobeyectl("status", "-c", daemon.file, "--db", database.conninfo)
    done = shown()
    assert done.returncode == 1
    assert "3 alerts waiting for the database" in done.stdout
    assert re.search(r"^database +NOT CONNECTED to the daemon for \d+ s \(journalctl -u mobeyed -p warning gives the reason\); "
                     r"reachable from here", done.stdout, re.M), done.stdout
    assert re.search(r"^ +0 % full, full in \d+ (min|h|d) \d+ (s|min|h) at this rate \(of 64\.0 MiB\); ", done.stdout, re.M), done.stdout
    seen = status(daemon, database.conninfo)
    assert not seen["ok"] and seen["journal"]["full_in_seconds"] > 0


def test_a_disk_that_is_smaller_than_the_journal_may_be_sets_the_limit(daemons, database, context, tmp_path):
    daemon = daemons(f"host={tmp_path} dbname=mobeye", max_size="900TiB").start()
    Dealer(context, daemon.address()).deliver(alerts(3))
    done = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo)
    assert re.search(r"^ +0 % full, .*\(of [\d.]+ [GM]iB: the disk has [\d.]+ [GM]iB left\); ", done.stdout, re.M), done.stdout


def test_a_journal_with_nothing_in_it_is_never_full(daemon, database):
    wait_until(lambda: status(daemon, database.conninfo)["ok"], "the daemon is connected")
    done = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo)
    assert done.returncode == 0
    assert "0 % full (of " in done.stdout and "full in" not in done.stdout and "NOT CONNECTED" not in done.stdout


def test_a_database_that_is_away_is_no_matter_of_rights(daemons):
    """And libpq's sentence appears once, although two users tried."""
    daemon = daemons("host=/run/no-postgresql dbname=mobeye")
    daemon.write()
    shown = mobeyectl("status", "-c", daemon.file).stdout
    assert "NOT REACHABLE from here" in shown and "may not read" not in shown
    assert "maintenance  unknown (no connection to the database)" in shown
    assert shown.count("connection to server on socket") == 1, shown


def test_a_database_without_the_schema_is_reached(shared_cluster, daemons):
    empty = shared_cluster.database(template=None)
    try:
        daemon = daemons(empty.conninfo)
        daemon.write()
        shown = mobeyectl("status", "-c", daemon.file, "--db", empty.conninfo).stdout
        assert "reachable from here, but this role cannot read mobeye.quarantine (is the schema migrated? mobeyectl migrate)" in shown
        for verb in ("queue", "watch --once"):
            done = mobeyectl(*verb.split(), "--db", empty.conninfo)
            assert done.returncode == 1 and "is its schema migrated? Run mobeyectl migrate." in done.stderr, done.stderr
    finally:
        empty.drop()


def test_the_bridge_and_the_board_are_shown_where_they_are(daemon, database, tmp_path):
    def shown(*options):
        done = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo, *files, *options)
        assert done.returncode == 0, done.stderr  # of the daemon and the database
        return json.loads(done.stdout) if options else done.stdout

    wait_until(lambda: daemon.metric("database_up") == 1, "the daemon is connected to the database")
    bridge, page = tmp_path / "mobeye-frigate.yaml", Board(database, tmp_path)
    files = "--frigate", bridge, "--board", tmp_path / "none.yaml"
    assert not re.search("^(frigate|board) ", shown(), re.M) and shown("--json")["frigate"] is shown("--json")["board"] is None
    bridge.write_text(json.dumps({"name": "noord", "api": {"url": "http://127.0.0.1:1"}, "to": daemon.address(), "state": str(tmp_path),
                                  "http": {"listen": f"127.0.0.1:{free_port()}"}}))
    files = "--frigate", bridge, "--board", page.file
    assert re.search("^frigate +noord: NOT RUNNING: .*\nboard +NOT RUNNING: ", shown(), re.M)
    assert shown("--json")["board"]["up"] is False
    running = subprocess.Popen([BRIDGE, "-c", bridge], stderr=subprocess.DEVNULL)
    page.start()
    try:
        wait_until(lambda: shown("--json")["frigate"].get("mobeyed_connected"), "the bridge is connected")
        assert re.search("^frigate +noord: connected to mobeyed, Frigate DOES NOT ANSWER; 0 alerts waiting$", shown(), re.M), shown()
        wait_until(lambda: shown("--json")["board"].get("database_connections"), "the board is connected")
        assert re.search("^board +connected to the database; 0 pages open$", shown(), re.M)
    finally:
        running.terminate()
        running.wait(30)
        page.stop()


@pytest.mark.parametrize("terminal", [False, True])
def test_watch_shows_it_again_until_it_is_interrupted(daemon, database, dealer, terminal):
    """On a terminal each screen replaces the one before; in a pipe they follow each other."""
    read, write = pty.openpty() if terminal else os.pipe()
    watching = subprocess.Popen([MOBEYECTL, "status", "--watch", "-c", daemon.file, "--db", str(database.conninfo)],
                                stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    text = b""
    try:
        while not re.search(rb"door +[0-9.]+ +0 ", text):
            text += os.read(read, 65536)
        dealer.deliver(alerts(3))
        while not re.search(rb"door +[0-9.]+ +3 ", text):
            text += os.read(read, 65536)
        watching.terminate()
        assert watching.wait(30) == -signal.SIGTERM and watching.stderr.read() == b""
    finally:
        watching.kill()
        watching.wait()
        watching.stderr.close()
        os.close(read)
    screens = len(re.findall(rb"^daemon ", text, re.M)) if not terminal else text.count(b"\033[H\033[2J")
    assert screens >= 2 and (b"\033" in text) == terminal


class Impostor(http.server.BaseHTTPRequestHandler):
    """Answers in place of the daemon."""

    def do_GET(self):
        ready = self.path == "/readyz"
        body = b"not ready: \033[2Jok daemon all is well\nok\n" if ready else b"# x\nmobeyed_database_up 1\n"
        self.send_response(503 if ready else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_whoever_answers_writes_no_line_and_no_sequence_on_the_terminal(daemon, database, tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = tmp_path / "other.yaml"
        file.write_text(daemon.file.read_text().replace(f":{daemon.conf.port}", f":{server.server_port}"))
        for verb in "status", "doctor":
            shown = mobeyectl(verb, "-c", file, "--db", database.conninfo).stdout
            assert "\\x1b[2Jok daemon all is well\\x0aok" in shown and "\033" not in shown, shown
        server.shutdown()
