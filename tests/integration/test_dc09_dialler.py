"""mobeyectl dc09: a person with a test dialler, and a daemon that answers."""
import re
import shutil
import subprocess

import pytest

from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, ROOT
from harness.portal import FIELD, endpoint, wrap


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "dc09.keys"
    shutil.copy(ROOT / "tests" / "dc09" / "keys", path)
    path.chmod(0o600)
    return path


@pytest.fixture
def serve(database, daemons):
    def run(**more):
        daemon = daemons(database.ingest)
        daemon.conf.set(endpoints=[endpoint(**more)])
        return daemon.start()
    return run


def dial(daemon, scenario, *options):
    return mobeyectl("dc09", "send", "--to", daemon.address("portal"), *options, input=scenario)


def test_a_scenario_shows_what_the_panel_sees(serve, database, keys):
    daemon = serve(dc09_keys=str(keys), check_time=True)
    done = dial(daemon, """# an evening
"SIA-DCS"0001L0#1234[#1234|Nri1/BA001]_now
"*SIA-DCS"0002R1L2#1128[#1128|Nri1/BA002]_now
"ADM-CID"0003L0#1234[#1234|1130 01 003]_now-5m
"NULL"0004L0#1234[]
""", "--keys", keys)
    assert done.returncode == 0, done
    assert done.stdout.endswith("4 of 4 frames acknowledged\n")
    answers = [line[10:] for line in done.stdout.splitlines() if line.startswith("< ")]
    assert answers[0] == '"ACK"0001L0#1234[]'
    assert re.fullmatch(r'"\*ACK"0002R1L2#1128\[[0-9A-F]{64}', answers[1])
    assert re.search(r"decrypted: \]_\d\d:\d\d:\d\d,\d\d-\d\d-\d{4}\n", done.stdout)
    assert answers[2].startswith('"NAK"0000R0L0A0[]_') and answers[3] == '"ACK"0003L0#1234[]', "sent again, it is taken"
    assert answers[4] == '"ACK"0004L0#1234[]'
    database.wait_stored(4)
    assert database.rows("select flags from patrol.alerts order by journal_seq") == [([],), ([],), (["stale"],), (["clock"],)]


def test_what_is_not_acknowledged_fails_and_says_so(serve):
    daemon = serve()
    done = dial(daemon, '"XYZ"0001L0#1234[]\n0000FFFF what ever\n"*NULL"0003L0#1234[]\n', "--tries", "2", "--timeout", "1")
    assert done.returncode == 1
    assert done.stdout.count('"DUH"0001L0#1234[]') == 1, "that is final"
    assert done.stdout.count("no answer within 1 s") == 2
    assert "no key for the account" in done.stderr
    assert done.stdout.endswith("0 of 2 frames acknowledged\n")


def test_binary_crcs_and_a_receiver_that_has_gone(serve, database):
    daemon = serve()
    done = dial(daemon, '"SIA-DCS"0001L0#1234[#1234|Nri1/BA001]_now', "--binary-crc")
    assert done.returncode == 0 and done.stdout.endswith("1 of 1 frames acknowledged\n"), done
    database.wait_stored(1)
    assert database.value("select payload->>'crc' from patrol.alerts") == "binary"
    daemon.stop()
    done = dial(daemon, '"NULL"0001L0#1234[]', "--tries", "1")
    assert done.returncode == 1 and "Connection refused" in done.stderr
    daemon.start()


def run(verb, *arguments, input=b""):
    """The same in bytes: CR is CR."""
    return subprocess.run([MOBEYECTL, "dc09", verb, *arguments], input=input, capture_output=True, timeout=120)


def test_frames_are_written_and_read_back():
    for frame, answer in FIELD:
        body = frame[8:]
        assert run("encode", body).stdout == wrap(frame), "to the byte"
        assert run("encode", input=body + b"\n").stdout == run("encode", "-", input=body).stdout == wrap(frame)
        read = run("decode", frame)
        assert read.returncode == 0 and b"  answer: %s\n" % answer in read.stdout
        assert run("decode", "-", input=wrap(frame)).stdout == run("decode", input=frame).stdout == read.stdout


def test_a_slip_at_the_shell_is_told():
    lone = run("decode", '"NULL"0001L0#1234[]')
    assert lone.returncode == 1 and b"dc09 encode adds them" in lone.stdout
    unquoted = run("encode", "NULL0001L0#1234[]_now")
    assert unquoted.returncode == 1 and unquoted.stdout == b"" and b"quotes" in unquoted.stderr
    other = run("decode", "--to", "localhost:1", "x")
    assert other.returncode == 2 and b"--to is not an option of decode" in other.stderr
    for to in "[::1", "[::1:5558", "::1]:5558":
        address = run("send", "--to", to, input=b"")
        assert address.returncode == 2 and b"not an address" in address.stderr, address.stderr
