"""Exit statuses and messages of the programs that need nothing running."""
import contextlib
import os
import re
import signal
import socket
import subprocess

import pytest

from harness.daemon import Config, mobeyectl
from harness.paths import BOARD, MOBEYED, ROOT

PLACE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+):(?P<col>\d+): (?P<rest>.+)$")


def run(*args):
    return subprocess.run([MOBEYED, *args], capture_output=True, text=True, timeout=60)


@pytest.fixture
def conf(tmp_path):
    return Config(tmp_path, "host=/nonexistent dbname=mobeye")

NOT_LOOKED_UP = " (groups, layers, areas and teams of the rules were not looked up; --db does)"


def check(tmp_path, text, *options):
    file = tmp_path / "mobeyed.yaml"
    file.write_text(text)
    done = run("--check", "-c", file, *options)
    good = f"{file}: valid" + ("" if "--db" in options else NOT_LOOKED_UP) + "\n"
    assert done.stdout == (good if done.returncode == 0 else ""), "a good file gets one line"
    places = [PLACE.match(line) for line in done.stderr.splitlines()]
    assert all(place and place["file"] == str(file) for place in places), done.stdout + done.stderr
    return done.returncode, [(int(place["line"]), int(place["col"]), place["rest"]) for place in places]


def test_a_good_file_passes(conf, tmp_path):
    status, said = check(tmp_path, conf.text())
    assert status == 0
    assert all("warning:" in rest for _, _, rest in said)


def test_the_environment_of_who_checks_the_file_does_not_count(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPORT", "5432,5433")
    status, _ = check(tmp_path, conf.text())
    assert status == 0


def test_every_error_is_told_at_once_with_its_place(conf, tmp_path):
    text = conf.text().replace("batch_max: 5000", "batch_max: lots").replace("keep: 24h", "keep: 24 moons")
    text = text.replace("instance: test-1", "instance: test-1\nflavour: vanilla")
    lines = text.splitlines()
    status, said = check(tmp_path, text)
    assert status == 2
    errors = {rest.split(": ")[0]: (line, col) for line, col, rest in said if "warning:" not in rest}
    assert {"flavour", "database.batch_max", "journal.keep"} <= set(errors)
    assert errors["flavour"][0] == lines.index("flavour: vanilla") + 1
    assert errors["database.batch_max"][0] == lines.index("  batch_max: lots") + 1
    assert errors["journal.keep"][0] == lines.index("  keep: 24 moons") + 1


@pytest.mark.parametrize("conninfo, says", [
    ("host=a,b port=5432,70000", "value 2 of port is not a port number (expected 1 to 65535)"),
    ("postgresql://mobeye_ingest:geheim/42@db/mobeye", 
     "unexpected @ after the host (expected %40 for @ and %2F for / in a password)"),
    ("host=a port=5432password=geheim", "the value of port contains password= (expected a space before it)"),
])
def test_of_a_conninfo_that_libpq_misreads_nothing_is_quoted(conf, tmp_path, conninfo, says):
    """What stands in place of the port may be a part of the password."""
    text = conf.text().replace("host=/nonexistent dbname=mobeye", conninfo)
    status, said = check(tmp_path, text)
    assert status == 2 and any(f"database.conninfo: {says}" in rest for _, _, rest in said), said
    assert "geheim" not in str(said)
    done = mobeyectl("status", "-c", tmp_path / "mobeyed.yaml")
    assert done.returncode == 1 and says in done.stdout and "geheim" not in done.stdout + done.stderr
    done = mobeyectl("doctor", "-c", tmp_path / "mobeyed.yaml")
    assert done.returncode == 1 and f"database.conninfo: {says}" in done.stdout and "geheim" not in done.stdout + done.stderr
    done = mobeyectl("migrate", "--db", conninfo)
    assert done.returncode == 1 and f"--db: {says}" in done.stderr and "geheim" not in done.stderr


def test_what_the_file_refers_to_is_checked_beside_other_errors(conf, tmp_path):
    """The keys of DC-09 and what libpq says of the conninfo, in the order of the file; each with what is allowed, once."""
    keys = tmp_path / "keys"
    keys.write_text("77 00\n1234 00\nwhat\n")
    keys.chmod(0o600)
    conf.endpoints = [conf.endpoint("a", socket="tcp", format="sia-dc09", bind="tcp://127.0.0.1:0", dc09_keys=str(keys)),
                      conf.endpoint("b", socket="tcp", format="sia-dc09", bind="tcp://127.0.0.1:0", dc09_keys="/none")]
    text = conf.text().replace("host=/nonexistent dbname=mobeye", "host=a,b,c port=1,2 user=x")
    status, said = check(tmp_path, text + "flavour: vanilla\n")
    errors = [rest for _, _, rest in said if "warning:" not in rest]
    assert status == 2 and said == sorted(said, key=lambda place: place[:2])
    assert [error.split(": ")[0] for error in errors] == \
        ["database.conninfo", *3 * ["endpoints.a.dc09_keys"], "endpoints.b.dc09_keys", "flavour"]
    assert [error.split(f"{keys}:")[1][0] for error in errors[1:4]] == ["1", "2", "3"]
    assert all(rest.count("(expected ") == 1 and rest.endswith(")") for _, _, rest in said), said


@pytest.mark.parametrize("missing", ["instance: test-1\n", "  conninfo: ", "  directory: "])
def test_what_is_required_is_missed(conf, tmp_path, missing):
    text = re.sub("(?m)^" + re.escape(missing) + ("" if missing.endswith("\n") else ".*\n"), "", conf.text())
    assert text != conf.text()
    status, said = check(tmp_path, text)
    assert status == 2 and any(missing.split(":")[0].strip() in rest for _, _, rest in said)


def test_a_bind_beyond_loopback_is_refused_unless_plaintext_is_allowed(conf, tmp_path):
    open_door = conf.endpoint("door", bind="tcp://0.0.0.0:5555")
    assert check(tmp_path, conf.set(endpoints=[open_door]).text())[0] == 2
    allowed = {**open_door, "plaintext": "allow"}
    assert check(tmp_path, conf.set(endpoints=[allowed]).text())[0] == 0


NAMES = """rules:
  - name: known
    match: {area: {layer: wijk, code: [W1, W2]}, group: [lent, tents]}
    incident: {category: alarm, priority: 1, group_by: [device, wijk], gap: 5h, team: north}
  - name: unknown
    match: {area: {layer: hotspot, code: W1}}
    incident: {category: alarm, priority: 1, group_by: [buurt, device], gap: 5h, team: south}
  - {name: rest, action: store}
"""


BOARD_FILE = 'listen: "127.0.0.1:8080"\ndatabase: {conninfo: "user=x"}\nidentity: {fixed: jansen}\n'


def check_board(file, text):
    file.write_text(text)
    done = subprocess.run([BOARD, "-c", file, "--check"], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.removeprefix(f"{file}:")


def test_the_metrics_of_the_board_need_an_address_of_their_own(tmp_path):
    assert check_board(tmp_path / "b.yaml", BOARD_FILE + 'http: {listen: "127.0.0.1:8081"}\n') == (0, "")
    assert check_board(tmp_path / "b.yaml", BOARD_FILE + 'http: {listen: "127.0.0.1:8080"}\n') == \
        (2, '4:16: http.listen: "127.0.0.1:8080" is already used by listen (expected a unique address)\n')


@pytest.mark.parametrize("conninfo, wrong", [
    ("host=a,b port=1,2,3", "2 hosts and 3 ports (expected one port, or one per host)"),
    ("user=x", None), ("port=0", "value 1 of port is not a port number (expected 1 to 65535)")])
def test_the_conninfo_of_the_board_is_checked(tmp_path, conninfo, wrong):
    status, said = check_board(tmp_path / "b.yaml", BOARD_FILE.replace("user=x", conninfo))
    assert status == (2 if wrong else 0)
    assert said == (f"2:22: database.conninfo: {wrong} (expected a libpq connection string)\n" if wrong else "")


@pytest.mark.parametrize("header", ["Host", "Origin", "cookie", "Sec-Fetch-User"])
def test_a_header_that_browsers_set_identifies_nobody(tmp_path, header):
    text = BOARD_FILE.replace("127.0.0.1:8080", f"unix:{tmp_path}/socket")
    assert check_board(tmp_path / "b.yaml", text.replace("fixed: jansen", f"header: {header}, peers: [root]")) == \
        (2, f'3:20: identity.header: "{header}" is set by browsers (expected a header of the reverse proxy, such as '
            'X-Remote-User)\n')


def test_names_that_the_database_does_not_have_are_warned_of(database, tmp_path):
    database.execute("""
        insert into mobeye.team (team) values ('north');
            insert into mobeye.person (login, name, team) values ('jan', 'Jan', 'north');
        insert into mobeye.device (device_id, device_group) values ('d1', 'lent');
        insert into mobeye.area (layer, code, name, geom) values
            ('wijk', 'W1', 'One', st_multi(st_geomfromtext('polygon((5 52, 5.1 52, 5.1 52.1, 5 52))', 4326)))""")
    conf = Config(tmp_path, "host=/nonexistent dbname=mobeye", more=NAMES)
    assert check(tmp_path, conf.text()) == (0, []), "nothing is asked without --db"
    first = conf.text().splitlines().index("  - name: known")
    status, said = check(tmp_path, conf.text(), "--db", database.conninfo)
    assert status == 0
    told = {(line - first - 1, rest.split(" is unknown")[0]) for line, _, rest in said}
    assert told == {
        (1, 'warning: rules.known.match.area.code: "W2"'),
        (1, 'warning: rules.known.match.group: "tents"'),
        (4, 'warning: rules.unknown.match.area.layer: "hotspot"'),
        (4, 'warning: rules.unknown.match.area.code: "W1"'),
        (5, 'warning: rules.unknown.incident.group_by: "buurt"'),
        (5, 'warning: rules.unknown.incident.team: "south"'),
    }


def test_a_database_that_cannot_be_asked_is_told_with_status_1(conf, tmp_path):
    file = tmp_path / "mobeyed.yaml"
    file.write_text(conf.text())
    done = run("--check", "-c", file, "--db", "host=/nonexistent dbname=mobeye password=verysecret")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "cannot connect" in done.stderr and "verysecret" not in done.stderr
    assert run("-c", file, "--db", "dbname=mobeye").returncode == 2, "only with --check"


def test_a_missing_file_is_told_and_is_status_2(tmp_path):
    for args in (["--check"], []):
        done = run(*args, "-c", tmp_path / "none.yaml")
        assert done.returncode == 2
        assert "none.yaml" in done.stdout + done.stderr


def test_a_bad_file_keeps_the_daemon_from_starting_with_status_2(conf, tmp_path):
    file = tmp_path / "mobeyed.yaml"
    file.write_text(conf.text().replace("batch_max: 5000", "batch_max: lots"))
    done = run("-c", file)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "database.batch_max" in done.stderr


@pytest.mark.parametrize("options", [["--check"], []], ids=["check", "start"])
def test_in_the_journal_each_complaint_is_an_error(conf, tmp_path, options):
    file, log = tmp_path / "mobeyed.yaml", tmp_path / "log"
    file.write_text(conf.text().replace("batch_max: 5000", "batch_max: lots").replace("keep: 24h", "keep: 24 moons"))
    with log.open("w") as out:
        seen = os.fstat(out.fileno())
        done = subprocess.run([MOBEYED, *options, "-c", file], stderr=out, timeout=60,
                              env={**os.environ, "JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}"})
    assert done.returncode == 2
    lines = log.read_text().splitlines()
    assert len(lines) == 2 and all(line.startswith(f"<3>configuration: {file}:") for line in lines), lines


def test_status_does_not_leave_it_at_the_mistakes_of_a_bad_file(conf, tmp_path):
    file = tmp_path / "mobeyed.yaml"
    file.write_text(conf.text().replace("batch_max: 5000", "batch_max: lots"))
    done = mobeyectl("status", "-c", file)
    assert done.returncode == 1 and "database.batch_max" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"mobeyectl status: {file}: cannot be read, see above; daemon, journal and endpoints are not shown")
    assert "--db CONNINFO" in last


def test_the_journal_of_another_program_changes_nothing(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")  # as in a terminal that a service opened
    status, said = check(tmp_path, conf.text().replace("batch_max: 5000", "batch_max: lots"))
    assert status == 2 and len(said) == 1


def test_a_fatal_error_is_status_1_and_one_line(conf, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "mobeyed.yaml").write_text(conf.set(journal=tmp_path / "file" / "journal").text())
    done = run("-c", tmp_path / "mobeyed.yaml")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " error " in line]
    assert len(errors) == 1 and "file/journal" in errors[0], done.stderr


def test_an_address_in_use_is_status_1_and_names_the_endpoint(conf, tmp_path):
    taken = socket.create_server(("127.0.0.1", 0))
    address = "tcp://127.0.0.1:%d" % taken.getsockname()[1]
    (tmp_path / "mobeyed.yaml").write_text(conf.set(endpoints=[conf.endpoint("front-door", bind=address)]).text())
    done = run("-c", tmp_path / "mobeyed.yaml")
    taken.close()
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " error " in line]
    assert len(errors) == 1 and "front-door" in errors[0] and address in errors[0], done.stderr


def test_the_sample_configuration_passes():
    done = run("--check", "-c", ROOT / "config" / "mobeyed.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_version_and_help():
    version = run("--version")
    assert version.returncode == 0
    named = {line.split()[0] for line in version.stdout.splitlines()}
    assert named == {"mobeyed", "libevent", "libzmq", "libpq", "libyaml", "simdjson", "libunistring", "libxxhash",
                     "libsodium", "libcrypto", "GEOS"}
    helped = run("--help")
    assert helped.returncode == 0 and "--check" in helped.stdout
    assert run("--nonsense").returncode == 2


@pytest.mark.parametrize("program", [MOBEYED, BOARD, BOARD.with_name("mobeye-frigate")], ids=lambda program: program.name)
def test_an_option_that_is_nearly_right_is_named(program):
    done = subprocess.run([program, "--chek"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"{program.name}: did you mean --check?\n" in done.stderr
    for option in ("--nonsense", "--config"):
        done = subprocess.run([program, option], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "did you mean" not in done.stderr


@pytest.mark.parametrize("option", ["--version", "--help", "--check"])
def test_what_cannot_be_printed_is_an_error(conf, tmp_path, option):
    file = tmp_path / "mobeyed.yaml"
    file.write_text(conf.text())
    with open("/dev/full", "w") as full:
        done = subprocess.run([MOBEYED, "-c", file, option], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "cannot write to stdout: No space left on device" in done.stderr


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 2)])
def test_a_signal_that_arrives_before_the_file_is_read(tmp_path, number, status):
    """The file is a pipe, which is opened on both sides at once, and then has nothing in it that is a configuration."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    daemon = subprocess.Popen([MOBEYED, "-c", pipe], stderr=subprocess.PIPE, text=True)
    end = os.open(pipe, os.O_WRONLY)
    daemon.send_signal(number)
    with contextlib.suppress(BrokenPipeError):
        os.write(end, b"nonsense\n")
    os.close(end)
    _, said = daemon.communicate(timeout=60)
    assert daemon.returncode == status, said


@pytest.mark.parametrize("verb", ["migrate", "send", "status", "journal", "quarantine"])
def test_every_verb_has_help(verb):
    done = mobeyectl(verb, "--help")
    assert done.returncode == 0 and done.stdout and not done.stderr
    wrong = mobeyectl(verb, "--nonsense")
    assert wrong.returncode == 2 and wrong.stderr and not wrong.stdout
