"""mobeyectl watch: every change once, in order, whatever happens to its receivers."""
import hashlib
import hmac
import http.server
import json
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness.daemon import Notices
from harness.paths import MOBEYECTL
from harness.wait import wait_until

INCIDENT = """
insert into mobeye.incident (incident_key, category, priority, kind, first_seen, last_seen, last_received_at, team)
    values (gen_random_uuid(), 'alarm', 2, 'motion', now(), now(), now(), %s) returning incident_id
"""


def happen(database, op, team=None):
    """An incident to which this happens; gives its id."""
    number = database.value(INCIDENT, team)
    database.execute("insert into mobeye.change (incident_id, op, status, priority, category)"
                     " values (%s, %s, 'new', 2, 'alarm')", number, op)
    database.execute("select pg_notify('mobeye_incident', '')")
    return number


@pytest.fixture
def watch(database):
    """watch(*options) runs it, to the end or, with --follow's place taken by wait=False, as a process."""
    running = []

    def run(*options, wait=True):
        process = subprocess.Popen([MOBEYECTL, "watch", "--db", database.conninfo, *map(str, options)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        if not wait:
            return process
        out, err = process.communicate(timeout=60)
        return process.returncode, [json.loads(line) for line in out.splitlines()], err

    yield run
    for process in running:
        process.kill()
        process.wait(60)


@pytest.fixture
def hook():
    """An HTTP server that keeps what it is sent, answers 503 to ids in `hook.refused`, nothing to those in `hook.silent`,
    and else what `hook.answers` says next (then 204)."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.seen.append((body, dict(self.headers)))
            if json.loads(body)["id"] in self.server.silent:
                return
            refused = json.loads(body)["id"] in self.server.refused
            self.send_response(503 if refused else self.server.answers.pop(0) if self.server.answers else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.answers, server.refused, server.silent = [], [], set(), set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def raw_hook():
    """raw_hook(serve) listens, and calls serve(connection) for each in a thread of its own; .url, .connections."""
    class Hook:
        def __init__(self, serve):
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
            self.connections = []
            self.serve = serve
            threading.Thread(target=self.accept, daemon=True).start()

        def accept(self):
            try:
                while True:
                    self.connections.append(self.listener.accept()[0])
                    threading.Thread(target=self.serve, args=(self.connections[-1],), daemon=True).start()
            except OSError:
                pass  # closed

    made = []

    def make(serve):
        made.append(Hook(serve))
        return made[-1]

    yield make
    for one in made:
        one.listener.close()
        for connection in one.connections:
            connection.close()


def letters(path):
    return [json.loads(line)["id"] for line in path.read_text().splitlines()] if path.exists() else []


def prom(path):
    return {name: float(value) for name, value in re.findall(r'^mobeyectl_watch_(\w+){watch="desk"} (\S+)$', path.read_text(), re.M)}


def test_every_change_after_a_number_is_told_in_order(database, watch):
    made = [happen(database, op) for op in ("new", "alert", "verified")]
    status, events, _ = watch("--after", 1, "--once")
    assert status == 0
    assert [(e["id"], e["type"], e["subject"]) for e in events] == [
        ("2", "mobeye.incident.alert.v1", str(made[1])), ("3", "mobeye.incident.verified.v1", str(made[2]))]
    assert events[0]["data"] == {"change_id": 2, "incident_id": made[1], "op": "alert", "status": "new",
                                 "priority": 2, "category": "alarm"}
    assert events[0]["specversion"] == "1.0" and events[0]["source"].startswith("/mobeyed/")


def test_the_cursor_goes_on_where_it_stopped(database, watch, tmp_path):
    cursor = tmp_path / "cursor"
    happen(database, "new")
    assert watch("--cursor", cursor, "--once")[1] == []  # from now on
    happen(database, "new")
    assert [e["id"] for e in watch("--cursor", cursor, "--once")[1]] == ["2"]
    assert watch("--cursor", cursor, "--once")[1] == []
    assert cursor.read_text() == "2\n"


def test_a_cursor_that_is_none_is_told(watch, tmp_path):
    cursor = tmp_path / "cursor"
    cursor.write_text("never\n")
    status, _, err = watch("--cursor", cursor, "--once")
    assert status == 1 and str(cursor) in err and "--after" in err


def test_a_cursor_from_before_a_restore_is_brought_back_and_said(database, watch, tmp_path):
    """A restored database gives out numbers again that the cursor has passed: nothing that happens from now on is left out."""
    cursor = tmp_path / "cursor"
    happen(database, "new")
    cursor.write_text("99\n")
    status, events, err = watch("--cursor", cursor, "--once")
    assert (status, events) == (0, []) and "the last change of the database is 1: it was restored to an earlier time" in err
    assert cursor.read_text() == "1\n"
    happen(database, "alert")
    status, events, err = watch("--cursor", cursor, "--once")
    assert (status, [e["id"] for e in events], err) == (0, ["2"], "")
    assert "(continuing after 2)" in watch("--after", 3, "--once")[2]


def test_changes_that_a_login_does_not_see_are_behind_it(database, watch, tmp_path):
    """Its cursor moves on, so that nobody takes it for late."""
    cursor = tmp_path / "cursor"
    database.execute("insert into mobeye.team values ('noord'), ('zuid')")
    database.execute("create role dispatch login in role mobeye_patrol")
    database.execute("insert into mobeye.person values ('dispatch', 'Dispatch', 'noord')")
    for team in ("noord", "zuid", "zuid"):
        happen(database, "new", team)
    status, events, err = watch("--db", f"{database.conninfo} user=dispatch", "--after", 0, "--cursor", cursor, "--once")
    assert (status, [e["id"] for e in events], err) == (0, ["1"], "")
    assert cursor.read_text() == "3\n"


def test_a_team_sees_its_own_and_nobodys(database, watch):
    database.execute("insert into mobeye.team values ('noord'), ('zuid')")
    for team in ("noord", "zuid", None):
        happen(database, "new", team)
    assert [e["id"] for e in watch("--after", 0, "--once", "--team", "noord")[1]] == ["1", "3"]


def test_a_command_gets_each_and_one_that_fails_gets_it_again(database, watch, tmp_path):
    for _ in range(2):
        happen(database, "new")
    out, failed = tmp_path / "out", tmp_path / "failed"
    status, _, err = watch("--after", 0, "--once", "--exec", f"test -e {failed} || {{ touch {failed}; exit 7; }}; cat >> {out}")
    assert status == 0
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["1", "2"]
    assert "exited with status 7" in err


def test_a_webhook_gets_signed_events_until_it_takes_them(database, watch, hook, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")
    secret.chmod(0o600)
    happen(database, "new")
    hook.answers = [503]
    status, _, err = watch("--after", 0, "--once", "--webhook", hook.url, "--secret", secret)
    assert status == 0 and "503" in err
    assert len(hook.seen) == 2 and hook.seen[0][0] == hook.seen[1][0]
    body, headers = hook.seen[1]
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["Mobeye-Signature"] == "sha256=" + hmac.new(b"0123456789abcdef", body, hashlib.sha256).hexdigest()
    assert json.loads(body)["id"] == "1"


@pytest.mark.parametrize("text, mode, word", [("0123456789abcdef", 0o644, "gives other users access"), ("short", 0o600, "too short")])
def test_a_secret_that_is_none_is_refused(watch, tmp_path, text, mode, word):
    secret = tmp_path / "secret"
    secret.write_text(text)
    secret.chmod(mode)
    status, _, err = watch("--once", "--webhook", "http://127.0.0.1:1/", "--secret", secret)
    assert status == 1 and word in err


def test_it_follows_what_happens_and_beats_and_ends_when_told(database, watch, tmp_path):
    out = tmp_path / "out"
    process = watch("--after", 0, "--heartbeat", "1s", "--exec", f"cat >> {out}", wait=False)
    def types():
        return [json.loads(line)["type"] for line in out.read_text().splitlines()] if out.exists() else []
    wait_until(lambda: "mobeye.watch.heartbeat.v1" in types(), "a heartbeat")
    happen(database, "new")
    wait_until(lambda: "mobeye.incident.new.v1" in types(), "the change")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_waiting_for_a_receiver_is_no_failure_to_the_service_manager(database, watch, hook, tmp_path, monkeypatch):
    notices = Notices(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", notices.path)
    happen(database, "new")
    hook.refused = {"1"}
    process = watch("--after", 0, "--webhook", hook.url, wait=False)
    wait_until(lambda: any("not delivered" in line for line in notices.seen), "it waits")
    seen = next(n for n, line in enumerate(notices.seen) if "not delivered" in line)
    wait_until(lambda: "WATCHDOG=1" in notices.seen[seen:], "and says that it lives")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    notices.close()


def test_a_lost_database_is_found_again(database, watch, tmp_path):
    out = tmp_path / "out"
    process = watch("--after", 0, "--exec", f"cat >> {out}", wait=False)
    happen(database, "new")
    wait_until(lambda: out.exists() and out.read_text().count("\n") == 1, "the first change")
    database.disconnect_all()
    happen(database, "new")
    wait_until(lambda: out.read_text().count("\n") == 2, "the second change")
    assert process.poll() is None


def test_what_is_never_answered_becomes_a_dead_letter_and_can_be_retried(database, watch, raw_hook, hook, tmp_path):
    dead, metrics = tmp_path / "dead", tmp_path / "desk.prom"
    for _ in range(20):
        happen(database, "new")
    silent = raw_hook(lambda connection: None)
    status, _, err = watch("--after", 0, "--once", "--webhook", silent.url, "--dead-letter", dead, "--give-up", "1s",
                           "--metrics", metrics)
    assert status == 0 and "given up" in err
    assert letters(dead) == [str(n) for n in range(1, 21)]
    told = prom(metrics)
    assert told["dead_letters_total"] == 20 and told["taken_total"] == 0 and told["waiting_seconds"] == 0
    assert len(silent.connections) == told["failed_total"] < 10, "a receiver that is down is not waited for by each"
    hook.refused = {"7"}
    status, _, err = watch("--retry", "--webhook", hook.url, "--dead-letter", dead)
    assert status == 1 and "503" in err and "19 delivered, 1 left" in err
    assert letters(dead) == ["7"]
    assert [json.loads(body)["id"] for body, _ in hook.seen] == [str(n) for n in range(1, 21)]
    hook.refused = set()
    assert watch("--retry", "--webhook", hook.url, "--dead-letter", dead)[0] == 0
    assert letters(dead) == [] and not dead.exists()
    assert watch("--retry", "--webhook", hook.url, "--dead-letter", dead)[0] == 0, "there are none"


def test_one_that_is_refused_holds_the_others_up_for_its_time_only(database, watch, hook, tmp_path):
    dead = tmp_path / "dead"
    for _ in range(5):
        happen(database, "new")
    hook.refused = {"2"}
    status, _, _ = watch("--after", 0, "--once", "--webhook", hook.url, "--dead-letter", dead, "--give-up", "1s")
    assert status == 0
    assert letters(dead) == ["2"]
    taken = [json.loads(body)["id"] for body, _ in hook.seen if json.loads(body)["id"] != "2"]
    assert taken == ["1", "3", "4", "5"]


def test_a_receiver_that_refuses_an_event_has_answered_it(database, watch, hook, tmp_path):
    """It takes two events without an answer before one is given up untried."""
    dead = tmp_path / "dead"
    for _ in range(3):
        happen(database, "new")
    hook.refused, hook.silent = {"1"}, {"2"}
    status, _, _ = watch("--after", 0, "--once", "--webhook", hook.url, "--dead-letter", dead, "--give-up", "1s")
    assert status == 0
    assert letters(dead) == ["1", "2"]


def test_a_try_that_was_interrupted_is_taken_up(watch, hook, tmp_path):
    dead = tmp_path / "dead"
    (tmp_path / "dead.retrying").write_text('{"id": "1"}\n')
    dead.write_text('{"id": "2"}\n')
    assert watch("--retry", "--webhook", hook.url, "--dead-letter", dead)[0] == 0
    assert [body for body, _ in hook.seen] == [b'{"id": "1"}']
    assert watch("--retry", "--webhook", hook.url, "--dead-letter", dead)[0] == 0
    assert [body for body, _ in hook.seen] == [b'{"id": "1"}', b'{"id": "2"}']


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_of_an_answer_without_end_little_is_read_and_2xx_counts(database, watch, raw_hook, head):
    sent = [0]

    def talk(connection):
        try:
            connection.recv(65536)
            connection.sendall(head)
            while True:
                sent[0] += connection.send(b"x" * 900 + b"\r\nX: " + b"x" * 94)
        except OSError:
            pass  # cut off

    happen(database, "new")
    assert watch("--after", 0, "--once", "--webhook", raw_hook(talk).url)[0] == 0
    assert sent[0] < 32 << 20


def test_url_and_fields_that_are_secret_come_from_a_file_or_a_credential(database, watch, hook, tmp_path, monkeypatch):
    source = tmp_path / "desk"
    source.write_text(f"{hook.url}t/0123?token=abc\nAuthorization: Bearer s3cret\nX-Desk: 7\n")
    source.chmod(0o600)
    happen(database, "new")
    assert watch("--after", 0, "--once", "--webhook-file", source)[0] == 0
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert watch("--after", 0, "--once", "--webhook-file", "credential:desk")[0] == 0
    assert [(headers["Authorization"], headers["X-Desk"]) for _, headers in hook.seen] == [("Bearer s3cret", "7")] * 2
    source.chmod(0o644)
    status, _, err = watch("--after", 0, "--once", "--webhook-file", source)
    assert status == 1 and "gives other users access" in err and "s3cret" not in err


@pytest.mark.parametrize("options, word", [
    (["--webhook", "https://user:pass@desk.example/"], "--webhook-file"),
    (["--webhook", "https://desk.example/?token=1"], "--webhook-file"),
    (["--webhook", "http://a/", "--webhook-file", "x"], "more than one receiver"),
    (["--webhook", "http://a/", "--give-up", "1m"], "--dead-letter"),
    (["--webhook", "http://a/", "--retry"], "--dead-letter"),
    (["--webhook", "http://a/", "--dead-letter", "x", "--give-up", "1ms"], "at least 1s"),
])
def test_options_that_do_not_go_together_are_refused(watch, options, word):
    status, _, err = watch(*options)
    assert status == 2 and word in err
