"""Damage in the journal: found, salvaged, reported; everything else is delivered, and the daemon starts."""
from psycopg.conninfo import make_conninfo

import pytest

from harness.alerts import alert, alerts
from harness.peers import Dealer


def files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def find(directory, needle):
    """(file, offset) of the only place that holds these bytes."""
    found = []
    for path in files(directory):
        data = path.read_bytes()
        at = data.find(needle)
        while at >= 0:
            found.append((path, at))
            at = data.find(needle, at + 1)
    return found


def overwrite(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.fixture
def waiting(context, database, daemons):
    """A stopped daemon with 100 accepted alerts in its journal, none of them in the database."""
    daemon = daemons(make_conninfo(database.ingest, host="/nonexistent")).start()
    dealer = Dealer(context, daemon.address())
    for message in alerts(100, "waiting"):
        assert dealer.ask(message).word == b"ACK"
        dealer.ledger.accepted[message["source"], message["id"]] = 0
        dealer.ledger.sent.add((message["source"], message["id"]))
    daemon.stop()
    daemon.conf.set(conninfo=database.ingest)
    return daemon, dealer


def test_a_flipped_byte_costs_one_alert_which_is_quarantined(waiting, database):
    daemon, _ = waiting
    daemon.write()
    assert daemon.ctl("journal", "verify").returncode == 0
    segment, at = find(daemon.conf.journal, b"waiting-000050")[0]
    overwrite(segment, at, b"Waiting-000050")
    verified = daemon.ctl("journal", "verify")
    assert verified.returncode == 1 and "51" in verified.stdout + verified.stderr
    daemon.start()
    assert daemon.get("/readyz")[0] == 200
    daemon.wait_drained()
    stored = {event for _, event in database.identities()}
    assert stored == {f"waiting-{n:06}" for n in range(100) if n != 50}
    assert daemon.lines(r"(?i)journal.*(damage|salvage)"), daemon.log()
    kept = database.value("select count(*) from mobeye.quarantine where record like '%%Waiting-000050%%'::bytea")
    assert find(daemon.conf.journal, b"Waiting-000050") or kept, "its bytes are salvaged"
    daemon.restart()
    assert database.stored() == 99


@pytest.mark.parametrize("tenth", range(10))
def test_one_bad_byte_anywhere_costs_at_most_one_alert_and_is_reported(waiting, database, tenth):
    daemon, _ = waiting
    segment, _ = find(daemon.conf.journal, b"waiting-000050")[0]
    data = segment.read_bytes()
    _, last = find(daemon.conf.journal, b"waiting-000099")[-1]
    at = next(n for n in range(tenth * last // 10, last) if data[n])
    overwrite(segment, at, bytes([data[at] ^ 0x55]))
    daemon.start()
    daemon.wait_drained()
    missing = {f"waiting-{n:06}" for n in range(100)} - {event for _, event in database.identities()}
    assert len(missing) <= 1, missing
    assert not missing or daemon.lines("(warning|error) +(journal|database)"), daemon.log()


def test_a_hole_of_zeroes_costs_only_what_it_hit(waiting, database):
    daemon, _ = waiting
    segment, at = find(daemon.conf.journal, b"waiting-000020")[0]
    _, until = find(daemon.conf.journal, b"waiting-000030")[0]
    overwrite(segment, at, bytes(until - at))
    daemon.start()
    daemon.wait_drained()
    stored = {event for _, event in database.identities()}
    expected = {f"waiting-{n:06}" for n in range(100)}
    assert stored <= expected
    assert expected - stored <= {f"waiting-{n:06}" for n in range(20, 31)}
    assert daemon.lines(r"(?i)journal.*(damage|salvage|missing)"), daemon.log()


def test_garbage_after_the_end_is_cut(waiting, database, context):
    daemon, dealer = waiting
    daemon.start()
    daemon.wait_drained()
    dealer.deliver(alerts(10, "more"))
    daemon.kill()
    segment, _ = find(daemon.conf.journal, b"more-000009")[-1]
    data = segment.read_bytes()
    end = (len(data.rstrip(b"\0")) + 511) // 512 * 512
    overwrite(segment, end, b"\xa5" * 5000)
    daemon.start()
    dealer.deliver(alerts(10, "again"))
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 120


def test_a_torn_tail_is_told_and_what_came_before_is_delivered(waiting, database):
    daemon, dealer = waiting
    daemon.conf.set(conninfo=make_conninfo(database.ingest, host="/nonexistent"))
    daemon.start()
    assert dealer.ask(alert("the-last-one")).word == b"ACK"
    daemon.kill()
    segment, at = find(daemon.conf.journal, b"the-last-one")[-1]
    overwrite(segment, at, b"THE")
    daemon.conf.set(conninfo=database.ingest)
    daemon.start()
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 100
    assert daemon.lines(r"(?i)journal.*(torn|tail|aside|damage)"), daemon.log()


@pytest.mark.parametrize("damage", ["emptied", "garbage", "gone"])
def test_a_segment_that_is_no_more_does_not_keep_it_from_starting(waiting, context, database, damage):
    daemon, dealer = waiting
    segment, _ = find(daemon.conf.journal, b"waiting-000050")[0]
    if damage == "gone":
        segment.unlink()
    else:
        segment.write_bytes(b"" if damage == "emptied" else b"\xa5" * 100000)
    daemon.start()
    assert daemon.get("/readyz")[0] == 200
    dealer.deliver(alerts(10, "after"))
    daemon.wait_drained()
    assert {event for _, event in database.identities()} == {f"after-{n:06}" for n in range(10)}
    assert damage != "garbage" or daemon.lines("(warning|error) +journal"), daemon.log()


def test_strange_files_in_the_directory_are_left_alone(waiting, database):
    daemon, dealer = waiting
    strange = daemon.conf.journal / "notes.txt"
    strange.write_text("of the operator")
    daemon.start()
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert strange.read_text() == "of the operator"


def test_list_and_dump_show_what_is_kept_while_the_daemon_runs(waiting):
    daemon, _ = waiting
    daemon.start()
    listed = daemon.ctl("journal", "list")
    assert listed.returncode == 0 and listed.stdout, listed.stderr
    dumped = daemon.ctl("journal", "dump")
    assert dumped.returncode == 0, dumped.stderr
    assert [f"waiting-{n:06}" in dumped.stdout for n in range(100)] == [True] * 100
    verified = daemon.ctl("journal", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
