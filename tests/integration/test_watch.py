"""mobeyectl watch: every change once, in order, whatever happens to those it tells."""
import hashlib
import hmac
import http.server
import json
import signal
import subprocess
import threading

import pytest

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
    """An HTTP server that keeps what it is sent, and answers what `hook.answers` says next (then 204)."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.seen.append((body, dict(self.headers)))
            self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


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


def test_a_team_sees_its_own_and_nobodys(database, watch):
    database.execute("insert into mobeye.team values ('noord'), ('zuid')")
    for team in ("noord", "zuid", None):
        happen(database, "new", team)
    assert [e["id"] for e in watch("--after", 0, "--once", "--team", "noord")[1]] == ["1", "3"]


def test_a_command_gets_each_and_one_that_fails_gets_it_again(database, watch, tmp_path):
    for _ in range(2):
        happen(database, "new")
    out, failed = tmp_path / "out", tmp_path / "failed"
    status, _, err = watch("--after", 0, "--once", "--exec", f"test -e {failed} || {{ touch {failed}; exit 7; }}; cat >> {out}; echo >> {out}")
    assert status == 0
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["1", "2"]
    assert "ended with 7" in err


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


@pytest.mark.parametrize("text, mode, word", [("0123456789abcdef", 0o644, "others may read"), ("short", 0o600, "too short")])
def test_a_secret_that_is_none_is_refused(watch, tmp_path, text, mode, word):
    secret = tmp_path / "secret"
    secret.write_text(text)
    secret.chmod(mode)
    status, _, err = watch("--once", "--webhook", "http://127.0.0.1:1/", "--secret", secret)
    assert status == 1 and word in err


def test_it_follows_what_happens_and_beats_and_ends_when_told(database, watch, tmp_path):
    out = tmp_path / "out"
    process = watch("--after", 0, "--heartbeat", "1s", "--exec", f"cat >> {out}; echo >> {out}", wait=False)
    def types():
        return [json.loads(line)["type"] for line in out.read_text().splitlines()] if out.exists() else []
    wait_until(lambda: "mobeye.watch.heartbeat.v1" in types(), "a heartbeat")
    happen(database, "new")
    wait_until(lambda: "mobeye.incident.new.v1" in types(), "the change")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_lost_database_is_found_again(database, watch, tmp_path):
    out = tmp_path / "out"
    process = watch("--after", 0, "--exec", f"cat >> {out}; echo >> {out}", wait=False)
    happen(database, "new")
    wait_until(lambda: out.exists() and out.read_text().count("\n") == 1, "the first change")
    database.disconnect_all()
    happen(database, "new")
    wait_until(lambda: out.read_text().count("\n") == 2, "the second change")
    assert process.poll() is None
