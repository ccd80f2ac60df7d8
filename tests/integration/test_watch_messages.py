"""What mobeyectl watch tells other systems: --only, --include, and the templates of config/watch, each tried against a
server that parses them like the real one."""
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import subprocess
import threading

import pytest

from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, ROOT
from harness.wait import wait_until

TEMPLATES = ROOT / "config/watch"
INCLUDE = ["--include", "reference,kind,priority,wijk,team"]


@pytest.fixture
def server():
    """An HTTP server; .seen has (path, header fields, body) of each request."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.seen.append((self.path, self.headers, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = []
    made.url = f"http://127.0.0.1:{made.server_address[1]}/mobeye"
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def incident(database):
    """An incident of priority 1 in a district whose name needs care, with a change of each op."""
    database.execute("insert into mobeye.team values ('noord')")
    database.execute("insert into mobeye.area (layer, code, name, geom) values ('wijk', 'WK1', %s, "
                     "'srid=4326;polygon((5 52,6 52,6 53,5 53,5 52))')", 'Wijk "\'t Hoogland" én \\ meer')
    number = database.value(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, team, areas, geom)"
        " values (gen_random_uuid(), 'alarm', 1, 'panic', 'NL-SECRET', now(), now(), now(), 'noord', '{wijk:WK1}', 'srid=4326;point(5.4 52.2)')"
        " returning incident_id")
    for op in ("new", "alert", "overdue"):
        database.execute("insert into mobeye.change (incident_id, op, status, priority, category) values (%s, %s, 'new', 1, 'alarm')", number, op)
    database.reference = database.value("select reference from patrol.incidents")
    return number


def watch(database, *options):
    done = mobeyectl("watch", "--db", database.conninfo, "--after", "0", "--once", *map(str, options))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_the_wanted_changes_are_told_and_the_cursor_passes_the_others(database, incident, tmp_path):
    told = [json.loads(line) for line in watch(database, "--only", "overdue,new").splitlines()]
    assert [event["data"]["op"] for event in told] == ["new", "overdue"]
    cursor = tmp_path / "cursor"
    assert watch(database, "--only", "verified", "--cursor", cursor) == ""
    assert int(cursor.read_text()) == database.value("select max(change_id) from patrol.changes")


def test_what_is_included_is_in_the_data_and_nothing_of_a_home(database, incident):
    event = json.loads(watch(database, *INCLUDE, "--only", "new"))
    assert event["data"] == {"change_id": event["data"]["change_id"], "incident_id": incident, "op": "new", "status": "new", "priority": 1,
                             "category": "alarm", "reference": database.reference, "kind": "panic", "team": "noord",
                             "wijk": 'Wijk "\'t Hoogland" én \\ meer'}
    everything = watch(database, "--include", "reference,kind,priority,wijk,buurt,team,verified_by,drill,first_seen,overdue_step")
    assert "NL-SECRET" not in everything
    assert "reference" not in watch(database)


def test_ntfy(database, incident, server):
    watch(database, *INCLUDE, "--only", "new", "--template", TEMPLATES / "ntfy.template", "--webhook", server.url)
    (_, fields, body), = server.seen
    # ntfy: the body is the message; Title, Priority (5 is the most urgent) and Tags are header fields.
    assert fields["Title"] == f"panic {database.reference}" and fields["Priority"] == "5"
    assert fields["Content-Type"].startswith("text/plain")
    assert "'t Hoogland\" én \\ meer" in body.decode() and body.decode().count("\n") == 1


def test_slack(database, incident, server):
    watch(database, *INCLUDE, "--only", "new", "--template", TEMPLATES / "slack.template", "--webhook", server.url)
    (_, fields, body), = server.seen
    assert fields["Content-Type"] == "application/json"
    assert database.reference in json.loads(body)["text"] and 'Wijk "\'t Hoogland"' in json.loads(body)["text"]


def test_goalert_opens_and_closes_the_same_alert(database, incident, server):
    database.execute("select patrol.close(%s, 'no_trace')", incident)
    watch(database, *INCLUDE, "--only", "new,status", "--template", TEMPLATES / "goalert.template", "--webhook", server.url)
    opened, closed = (json.loads(body) for _, _, body in server.seen)
    # Generic API of GoAlert: summary is required, dedup joins, action "close" closes.
    assert opened["summary"].startswith("panic ") and opened["action"] == "open" and closed["action"] == "close"
    assert opened["dedup"] == closed["dedup"] == f"mobeye-{incident}"


def test_an_e_mail(database, incident, tmp_path):
    box = tmp_path / "box"
    watch(database, *INCLUDE, "--only", "new", "--template", TEMPLATES / "mail.template", "--exec", f"cat > {box}")
    message = email.message_from_bytes(box.read_bytes(), policy=email.policy.default)
    assert database.reference in message["Subject"] and message["To"] and message["From"] and not message.defects
    assert "noord" in message.get_content() and "Hoogland" in message.get_content()


def test_the_signature_is_that_of_the_message(database, incident, server, tmp_path):
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    key.chmod(0o600)
    watch(database, *INCLUDE, "--only", "new", "--template", TEMPLATES / "slack.template", "--webhook", server.url, "--secret", key)
    (_, fields, body), = server.seen
    assert fields["Mobeye-Signature"] == "sha256=" + hmac.new(b"0123456789abcdef", body, hashlib.sha256).hexdigest()


def test_a_dead_letter_is_an_event_and_its_retry_the_message(database, incident, server, tmp_path):
    dead = tmp_path / "dead"
    options = ["--template", str(TEMPLATES / "slack.template"), *INCLUDE, "--dead-letter", str(dead)]
    watch(database, "--only", "new", "--give-up", "1s", "--webhook", "http://127.0.0.1:1/", *options)
    assert json.loads(dead.read_text())["data"]["reference"] == database.reference
    done = mobeyectl("watch", "--retry", "--webhook", server.url, *options)
    assert done.returncode == 0 and "1 delivered, 0 left" in done.stderr
    assert database.reference in json.loads(server.seen[0][2])["text"]


@pytest.mark.parametrize("text, word", [
    ("Content-Type: text/plain\n", "has no empty line"),
    ("not a field\n\nbody\n", '"not a field" is not a header field'),
    ("Title: {{address}}\n\nbody\n", "{{address}} is not in an event"),
    ("Title: x\n\n{{reference}}\n", "has names that the event lacks (expected --include reference)"),
    ("Title: {{kind}} {{op}}\n\n{{wijk}} {{kind}} {{team}}\n", "(expected --include kind,wijk,team)"),
    ("Title: {{kind}}\n\n{{adress}}\n", "{{adress}} is not in an event"),
    ("Title: x\n\n" + "x" * 9000, "is too long"),
])
def test_a_template_that_cannot_be_filled_is_refused(database, tmp_path, text, word):
    file = tmp_path / "template"
    file.write_text(text)
    done = mobeyectl("watch", "--db", database.conninfo, "--once", "--template", file)
    assert done.returncode == 1 and word in done.stderr, done.stderr


@pytest.mark.parametrize("options, word", [
    (["--include", "address"], '--include: "address" is not allowed'), (["--include", "kind,"], '"" is not allowed'),
    (["--only", "news"], '--only: "news" is not allowed (did you mean new?)'),
    (["--include", "refrence,kind"], '--include: "refrence" is not allowed (did you mean reference?)'),
    (["--webhook", "htp://x"], '--webhook: "htp" is not the scheme of a webhook (did you mean http?)'),
    (["--webhook", "desk.example/mobeye"], "--webhook: is not a URL (expected http://HOST/... or https://HOST/...)"),
    (["--webhook", "http://"], "--webhook: is not a URL"), (["--webhook", "ftp://desk.example/"], "--webhook: "),
    (["--webhook", "http://desk.example/?token=x"], "may be secret (use --webhook-file)"),
])
def test_words_that_are_none_are_refused(options, word):
    done = mobeyectl("watch", *options)
    assert done.returncode == 2 and word in done.stderr


def test_what_is_included_already_is_named_too(database, tmp_path):
    """So that the line can be pasted."""
    file = tmp_path / "template"
    file.write_text("Title: {{kind}} {{team}}\n\n{{reference}}\n")
    done = mobeyectl("watch", "--db", database.conninfo, "--once", "--template", file, "--include", "team")
    assert done.returncode == 1 and "(expected --include team,kind,reference)" in done.stderr


@pytest.mark.parametrize("verb", [["queue"], ["watch", "--once"]])
def test_a_team_that_does_not_exist_is_refused(database, verb):
    """A receiver that waits for a misspelled team would never be told anything."""
    def refused(team):
        done = mobeyectl(*verb, "--db", database.conninfo, "--team", team)
        assert done.returncode == 2 and not done.stdout
        return done.stderr
    assert '--team: "noord" is not a team (there are none)' in refused("noord")
    database.execute("insert into mobeye.team values ('noord'), ('zuid')")
    assert '--team: "noordd" is not a team (did you mean noord?)' in refused("noordd")
    assert '--team: "west" is not a team (expected noord, zuid)' in refused("west")
    assert mobeyectl(*verb, "--db", database.conninfo, "--team", "zuid").returncode == 0


def test_a_team_that_is_removed_ends_the_watch(database):
    database.execute("insert into mobeye.team values ('zuid')")
    process = subprocess.Popen([MOBEYECTL, "watch", "--db", database.conninfo, "--team", "zuid"], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: database.value("select count(*) from pg_stat_activity where application_name = 'mobeyectl watch'"
                                          " and datname = current_database()") == 1, "it is connected")
        database.execute("delete from mobeye.team")
        database.disconnect_all()
        assert process.wait(60) == 2 and '--team: "zuid" is not a team' in process.stderr.read()
    finally:
        process.kill()
        process.wait(60)
        process.stderr.close()


def test_a_command_gets_the_event_with_a_line_feed(database, incident, tmp_path):
    """So that events that are appended to a file stay apart."""
    box = tmp_path / "seen"
    watch(database, "--exec", f"cat >> {box}")
    assert [json.loads(line)["data"]["op"] for line in box.read_text().splitlines()] == ["new", "alert", "overdue"]


def test_status_says_which_receiver_lags_and_has_dead_letters(daemon, database, incident, tmp_path):
    database.execute("select patrol.number_changes()")
    for name, cursor, dead in ("desk", "1", "{}\n{}\n"), ("phone", "3", ""):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cursor").write_text(cursor + "\n")
        (tmp_path / name / "dead-letter").write_text(dead)
    run = ["status", "-c", daemon.file, "--db", database.conninfo, "--state", tmp_path]
    shown = mobeyectl(*run).stdout
    assert "desk: 2 changes not delivered yet, 2 DEAD LETTERS" in shown and "phone: up to date\n" in shown, shown
    assert json.loads(mobeyectl(*run, "--json").stdout)["watches"] == [
        {"name": "desk", "behind": 2, "dead_letters": 2}, {"name": "phone", "behind": 0, "dead_letters": 0}]
