"""Imports of devices and their DC-09 addresses; what an import keeps locked while it reports on a file."""
import subprocess

import pytest

from harness.paths import MOBEYECTL

ADDRESSES = "select device_id, account, input from mobeye.device_address order by device_id, account, input"


def test_without_a_column_of_inputs_a_device_keeps_its_own(registry):
    registry.done("devices", "import", "-", stdin="device_id,account,input\nF1,AB77,1\nF2,AB77,2\nF3,CD88,3\nF4,EF99,\n")
    counts, _ = registry.done("devices", "import", "-", stdin="device_id,account,model\nF1,0AB77,CM4000\n")
    stored = [("F1", "AB77", 1), ("F2", "AB77", 2), ("F3", "CD88", 3), ("F4", "EF99", None)]
    assert registry.query(ADDRESSES) == stored and counts[0]["addresses_changed"] == 0
    registry.done("devices", "import", "-", stdin="device_id,account\nF1,AB77\nF2,AB77\nF3,DE99\n")  # its panel was replaced
    stored[2] = ("F3", "DE99", 3)
    assert registry.query(ADDRESSES) == stored
    registry.done("devices", "import", "-", stdin="device_id,account,input\nF1,AB77,\n")  # an empty cell is a value
    assert registry.query(ADDRESSES)[0] == ("F1", "AB77", None)


def test_without_a_column_of_inputs_a_device_keeps_all_of_the_account(registry):
    registry.done("devices", "import", "-", stdin="device_id,account,input\nF1,AB77,1\nF2,CD88,2\n")
    registry.query("insert into mobeye.device_address (account, input, device_id) values ('AB77', 2, 'F1') returning 1")
    registry.done("devices", "import", "-", stdin="device_id,account\nF1,AB77\n")
    stored = [("F1", "AB77", 1), ("F1", "AB77", 2), ("F2", "CD88", 2)]
    assert registry.query(ADDRESSES) == stored
    said = registry.refused("devices", "import", "-", stdin="device_id,account\nF1,AB77\nF2,AB77\n")
    assert said[0] == "-:3: account: account AB77 input 2 belongs to device F1"
    assert registry.query(ADDRESSES) == stored
    said = registry.refused("devices", "import", "-", stdin="device_id,account\nF1,DE99\n")
    assert said[0] == "-:2: account: device F1 has several inputs (expected a column input, or the account changed in QGIS)"
    assert registry.query(ADDRESSES) == stored
    registry.done("devices", "import", "-", stdin="device_id,account\nF1,\n")
    assert registry.query(ADDRESSES) == stored[2:]


def test_an_input_that_one_row_of_a_device_keeps_is_not_free(registry):
    registry.done("devices", "import", "-", stdin="device_id,account,input\nK1,BEEF,1\nK2,CAFE,2\n")
    registry.query("insert into mobeye.device_address (account, input, device_id) values ('BEEF', 2, 'K1') returning 1")
    said = registry.refused("devices", "import", "-", stdin="device_id,account\nK1,BEEF\nK1,\nK2,BEEF\n")
    assert said[0] == "-:4: account: account BEEF input 2 belongs to device K1"
    assert registry.query(ADDRESSES) == [("K1", "BEEF", 1), ("K1", "BEEF", 2), ("K2", "CAFE", 2)]


@pytest.mark.parametrize("bad", [False, True], ids=["warnings", "errors"])
def test_nobody_waits_for_who_reads_what_is_said_of_a_file(registry, database, bad):
    file = registry.file("device_id,heartbeat,address\n" + "".join(f"D{n},{'x' if bad else ''},Straat {n}\n" for n in range(3000)))
    with subprocess.Popen([MOBEYECTL, "devices", "import", file, "--json", "--db", database.conninfo],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as importing:
        first = importing.stderr.readline()  # the rest does not fit into the pipe
        database.execute("select from mobeye.mutex where name = 'imports' for update nowait")
        assert registry.query("select count(*) from mobeye.device") == [(0 if bad else 3000,)]
        said, out = first + importing.stderr.read(), importing.stdout.read()
    assert said.count("has no meaning without a place") == 3000
    assert (importing.returncode, bool(out)) == ((1, False) if bad else (0, True))


def test_a_commit_that_fails_says_only_why(registry, database):
    database.execute("""
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
        create constraint trigger refuse after insert on mobeye.device deferrable initially deferred
            for each row execute function refuse()""")
    said = registry.refused("devices", "import", "-", stdin="device_id\nF1\n")
    assert [line for line in said if "transaction" in line] == [] and "not today" in said[0]
    assert registry.query("select count(*) from mobeye.device") == [(0,)]
