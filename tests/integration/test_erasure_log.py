"""The log of erasures, kept outside the database for a restore: what a full disk or a power cut leaves in it."""
import json
import resource
import subprocess

import pytest

from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL
from test_retention import HOME

WHOSE = ("--address", "Kerkstraat 1")


def erase(database, log, **how):
    with open(log, "ab") as out:
        return subprocess.run([MOBEYECTL, "subject", "erase", "--yes", *WHOSE, "--db", database.conninfo], stdout=out,
                              stderr=subprocess.PIPE, text=True, timeout=60, **how)


def again(database, log):
    return mobeyectl("subject", "again", "--db", database.conninfo, log)


def stored(database):
    return database.value("select count(*) from mobeye.alert")


def test_a_log_that_cannot_be_written_is_left_as_it_was_and_nothing_is_erased(database, tmp_path):
    database.execute(HOME)
    log = tmp_path / "erased.log"
    log.write_text("earlier\n")

    def fill_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (30, 30))

    full = erase(database, log, preexec_fn=fill_disk, restore_signals=False)
    assert full.returncode == 1 and "standard output: File too large; nothing was erased" in full.stderr, full.stderr
    assert log.read_text() == "earlier\n" and stored(database) == 1
    assert erase(database, log).returncode == 0 and stored(database) == 0
    earlier, line = log.read_text().splitlines()
    assert earlier == "earlier" and json.loads(line)["device_id"] == "NL-1"


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_what_is_closed_is_not_the_connection_to_the_database(database, closed):
    database.execute(HOME)
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", MOBEYECTL, "subject", "erase", "--yes", *WHOSE, "--db",
                           database.conninfo], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and stored(database) == 1
    assert "2>" in closed or "standard output: Bad file descriptor; nothing was erased" in done.stderr, done.stderr


@pytest.mark.parametrize("torn", [b'{"at": "2026-11-30", "names": {"X2": "', bytes(512)], ids=["cut off", "zeros"])
def test_what_a_power_cut_leaves_keeps_to_itself_and_is_told(database, tmp_path, torn):
    database.execute(HOME)
    log = tmp_path / "erased.log"
    log.write_bytes(b"\n" + torn)
    assert erase(database, log).returncode == 0
    lines = log.read_bytes().split(b"\n")
    assert lines[:2] == [b"", torn] and lines[3] == b""
    device = json.loads(lines[2])["device_uuid"]
    database.execute("delete from mobeye.erasure; delete from mobeye.device")
    database.execute(HOME)  # as a backup from before has it
    database.execute(f"update mobeye.device set device_uuid = '{device}'")
    refused = again(database, log)
    assert refused.returncode == 1 and refused.stdout == "", refused.stdout
    assert refused.stderr.startswith(f"mobeyectl subject: {log}:2: ") and f"{log}:3" not in refused.stderr
    assert ("NUL" in refused.stderr) == (torn[0] == 0) and refused.stderr.endswith("mobeyectl subject: nothing was erased\n")
    assert stored(database) == 1
    log.write_bytes(lines[2] + b"\n")
    assert again(database, log).stdout == "2 rows erased again\n" and stored(database) == 0


def test_every_line_that_is_not_an_erasure_is_told(database, tmp_path):
    log = tmp_path / "erased.log"
    good = '{"device_id": "NL-1", "during": "[2026-01-01,2026-02-01)", "names": {}}'
    bad = ['"text"', "17", "null", '{"device": "Q"}', '{"device_id": "NL-1", "names": {}}', '{"burglary": "2026-101"}', "[]",
           *(good.replace("{}}", more) for more in ('{"NL-1": "ever"}}', '{}, "device_uuid": "1"}', '{}, "at": "ever"}'))]
    log.write_text("\n".join([good, "", *bad, ""]))
    refused = again(database, log)
    assert refused.returncode == 1 and refused.stdout == ""
    for number, said in enumerate(refused.stderr.splitlines()[:-1], 3):
        assert said.startswith(f"mobeyectl subject: {log}:{number}: "), said
    assert len(refused.stderr.splitlines()) == len(bad) + 1
    log.write_text(good + "\n\n")
    assert again(database, log).stdout == "0 rows erased again\n"
