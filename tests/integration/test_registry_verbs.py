"""mobeyectl areas, devices and device, from outside."""
import json
import shlex
import subprocess

import pytest

from harness.paths import MOBEYECTL, ROOT
from harness.registry import collection, square

DISTRICTS = ROOT.parent / "shared" / "data" / "amersfoort-wijken-2014.geojson"
HAND_DRAWN = ROOT / "tests" / "areas" / "hand-drawn.geojson"
CHECK_POINT = (5.40168265, 52.16646193)  # RD New 155990.61 464256.19

DEVICES = """\
device_id,model,group,account,input,heartbeat,grace,placed_from,placed_until,address,lon,lat,rd_x,rd_y,team,secret,instructions
NL-1,CM4000,woning,ab12,1,26h,2h,2026-01-01T00:00:00+01:00,2026-03-01T00:00:00+01:00,"Straat 1, Amersfoort",5.38,52.15,,,noord,yes,
NL-1,CM4000,woning,ab12,1,26h,2h,2026-03-01T00:00:00+01:00,,Straat 2,,,155990.61,464256.19,noord,no,"ring
twice"
NL-2,iCM41,,,,7d,,,,,,,,,,,
"""


BOW_TIE = [[5, 52], [5.1, 52.1], [5.1, 52], [5, 52.1], [5, 52]]
LINE = [[5, 52], [5.1, 52.1], [5, 52]]


@pytest.mark.parametrize("file", [HAND_DRAWN, DISTRICTS], ids=lambda file: file.stem)
def test_a_file_of_areas_is_imported_and_again_changes_nothing(registry, file):
    if not file.exists():
        pytest.skip(f"{file.name} is not here")
    count = len(json.loads(file.read_text())["features"])
    counts, complaints = registry.done("areas", "import", "--layer", "wijk", "--vintage", 2014, file)
    assert counts == [{"areas": count, "added": count, "changed": 0, "removed": 0}]
    assert "error" not in complaints
    before = registry.state()
    counts, _ = registry.done("areas", "import", "--layer", "wijk", "--vintage", 2014, file)
    assert counts == [{"areas": count, "added": 0, "changed": 0, "removed": 0}]
    assert registry.state() == before
    codes = registry.query("select code from mobeye.area where st_covers(geom, "
                           f"st_setsrid(st_makepoint({CHECK_POINT[0]}, {CHECK_POINT[1]}), 4326))")
    assert codes == [("WK030710",) if file == DISTRICTS else ("WK990003",)] or codes == [("WK990002",)]


def test_areas_replace_their_layer_and_vintage_alone(registry):
    one = registry.file(collection(({"code": "A", "name": "a"}, square()), ({"code": "B", "name": "b"}, square(6))))
    two = registry.file(collection(({"code": "B", "name": "b"}, square(6)), ({"code": "C", "name": "c"}, square(7))), "two")
    registry.done("areas", "import", "--layer", "wijk", "--vintage", 2014, one)
    registry.done("areas", "import", "--layer", "wijk", one)
    registry.done("areas", "import", "--layer", "buurt", "--vintage", 2014, one)
    counts, _ = registry.done("areas", "import", "--layer", "wijk", "--vintage", 2014, two)
    assert counts == [{"areas": 2, "added": 1, "changed": 0, "removed": 1}]
    rows = registry.query("select layer, vintage, string_agg(code, '' order by code) from mobeye.area"
                          " group by 1, 2 order by 1, 2")
    assert rows == [("buurt", 2014, "AB"), ("wijk", 2014, "BC"), ("wijk", None, "AB")]
    valid = registry.query("select distinct valid::text from mobeye.area where vintage is null")
    assert valid == [("(,)",)]
    # Whatever the time zone of the database.
    listed, _ = registry.done("areas", "list")
    assert [row["valid_from"] for row in listed if row["vintage"]] == ["2014-01-01", "2014-01-01"]


def test_of_a_code_that_is_always_valid_and_in_a_vintage_that_is_exported(registry):
    both = registry.file(collection(({"code": "A", "name": "always"}, square()), ({"code": "B", "name": "b"}, square(6))))
    registry.done("areas", "import", "--layer", "wijk", both)
    registry.done("areas", "import", "--layer", "wijk", "--vintage", 2014, "-", stdin=collection(({"code": "A", "name": "new"}, square(7))))
    text = registry.run("areas", "export", "--layer", "wijk").stdout
    assert [feature["properties"]["name"] for feature in json.loads(text)["features"]] == ["new", "b"]
    counts, said = registry.done("areas", "import", "--layer", "wijk", "-", stdin=text)
    assert (counts, said) == ([{"areas": 2, "added": 0, "changed": 1, "removed": 0}], "")


def test_on_a_terminal_it_asks_before_areas_are_removed(registry):
    whole = registry.file(collection(({"code": "A", "name": "a"}, square()), ({"code": "B", "name": "b"}, square(6))))
    part = registry.file(collection(({"code": "A", "name": "a"}, square())), "part")

    def on_terminal(file, answer, *more):
        command = [MOBEYECTL, "areas", "import", "--db", registry.database.conninfo, "--layer", "wijk", *more, file]
        return subprocess.run(["script", "-qec", shlex.join(map(str, command)), "/dev/null"], input=answer, text=True,
                              capture_output=True, timeout=120)

    assert "lacks" not in on_terminal(whole, "").stdout
    refused = on_terminal(part, "n\n")
    assert refused.returncode == 1 and "The file lacks 1 area of layer wijk: B. Remove it? [y/N]" in refused.stdout
    assert registry.query("select count(*) from mobeye.area") == [(2,)]
    assert on_terminal(part, "y\n").returncode == 0
    assert registry.query("select count(*) from mobeye.area") == [(1,)]
    on_terminal(whole, "")
    assert "lacks" not in on_terminal(part, "", "--yes").stdout
    assert registry.query("select count(*) from mobeye.area") == [(1,)]


def test_an_empty_file_of_areas_names_the_verb_that_removes(registry):
    line = registry.refused("areas", "import", "--layer", "wijk", registry.file(collection()))[0]
    assert "mobeyectl areas remove --layer LAYER" in line


def test_a_device_that_differs_from_another_in_case_only_is_warned_of(registry):
    registry.done("devices", "import", "-", stdin="device_id\nNL-0307-00042\n")
    again = "device_id,model\nNL-0307-00042,a\nnl-0307-00042,a\n"
    _, notes = registry.done("devices", "import", "-", stdin=again)
    assert notes == "-:3: warning: device_id: nl-0307-00042 is a new device (did you mean NL-0307-00042?)\n"
    _, notes = registry.done("devices", "import", "-", stdin=again)
    assert "did you mean" not in notes, "it is registered now"
    _, notes = registry.done("devices", "import", "-", stdin="device_id\nX-1\nY-1\nx-1\n")
    assert notes == "-:4: warning: device_id: x-1 is a new device (did you mean X-1?)\n", "both are new"


def test_invalid_areas_are_repaired_with_a_warning_by_name(registry):
    file = registry.file(collection(({"code": "WK7", "name": "Strik"}, BOW_TIE), ({"code": "B", "name": "b"}, square())))
    _, complaints = registry.done("areas", "import", "--layer", "wijk", file)
    assert complaints.startswith(f"{file}:4: warning: feature 1 (WK7, Strik): geometry: is invalid")
    assert registry.query("select bool_and(st_isvalid(geom)), sum(st_numgeometries(geom)) from mobeye.area") == [(True, 3)]


def test_every_bad_area_is_named_and_nothing_is_imported(registry):
    file = registry.file(collection(
        ({"code": "A", "name": "a"}, square()), ({"name": "b"}, square()), ({"code": "C"}, square()),
        ({"code": "D", "name": "d"}, LINE), ({"code": "A", "name": "a"}, square(6))))
    complaints = registry.refused("areas", "import", "--layer", "wijk", file)
    for words in ("feature 2 (b): properties.code: is missing", "feature 3 (C): properties.name: is missing",
                  "feature 4 (D, d): geometry: is invalid", "feature 5 (A, a): code: duplicate of feature 1,"):
        assert sum(words in line for line in complaints) == 1, complaints
    assert "4 errors; nothing was imported" in complaints[-1]
    assert registry.query("select count(*) from mobeye.area") == [(0,)]


def test_areas_in_rd_new_are_refused_with_the_command_that_mends_them(registry):
    file = registry.file(collection(({"code": "A", "name": "a"}, [[155000, 463000], [156000, 463000], [156000, 464000],
                                                                  [155000, 463000]])))
    complaints = registry.refused("areas", "import", "--layer", "wijk", file)
    assert "ogr2ogr -f GeoJSON -t_srs EPSG:4326 -s_srs EPSG:28992" in complaints[0]
    assert str(file) in complaints[0]


def test_areas_say_what_is_wrong_with_the_command_line(registry):
    for arguments in (["--layer", "Wijk", "x"], ["--layer", "wijk", "--vintage", "14", "x"], ["x"], ["--layer", "wijk"]):
        registry.refused("areas", "import", *arguments, status=2)
    assert "No such file" in registry.refused("areas", "import", "--layer", "wijk", "/nonexistent")[0]


def test_devices_are_imported_and_again_change_nothing(registry):
    registry.add_team("noord")
    file = registry.file(b"\xef\xbb\xbf" + DEVICES.replace("\n", "\r\n").encode())
    counts, complaints = registry.done("devices", "import", file)
    assert complaints == ""
    assert counts == [{"devices": 2, "devices_added": 2, "devices_changed": 0, "addresses_changed": 1,
                       "placements_added": 2, "placements_changed": 0}]
    before = registry.state()
    counts, _ = registry.done("devices", "import", "-", stdin=DEVICES)
    assert set(counts[0].values()) == {0, 2}
    assert registry.state() == before
    rows = registry.query("select device_id, model, device_group, heartbeat = '26h', grace = '2h', state"
                          " from mobeye.device order by 1")
    assert rows == [("NL-1", "CM4000", "woning", True, True, "placed"), ("NL-2", "iCM41", None, False, False, "stock")]
    assert registry.query("select account, input, device_id from mobeye.device_address") == [("AB12", 1, "NL-1")]
    rows = registry.query("select during = '[2025-12-31 23:00Z,2026-02-28 23:00Z)', address, team, secret from mobeye.placement"
                          " where secret")
    assert rows == [(True, "Straat 1, Amersfoort", "noord", True)]


def test_rd_new_becomes_degrees(registry):
    registry.add_team("noord")
    registry.done("devices", "import", registry.file(DEVICES))
    metres = registry.query(f"select st_distance(geom::geography, st_makepoint({CHECK_POINT[0]}, {CHECK_POINT[1]})::geography)"
                            " from mobeye.placement where address = 'Straat 2'")
    assert metres[0][0] < 0.3


def test_every_bad_row_is_named_by_its_line_and_nothing_is_imported(registry):
    registry.done("devices", "import", "-", stdin="device_id,lon,lat,placed_from,placed_until,account\n"
                                                  "old,5,52,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,AAAA\n")
    registry.query("update mobeye.device set state = 'stock' returning 1")
    rows = [
        ("NL 1,,,,,,,", "device_id: \"NL 1\" is not a device id"),
        ("a,x,,,,,,", "heartbeat: \"x\" is not a valid duration"),
        ("b,,2026-13-01,,5,52,,", "placed_from: \"2026-13-01\" is not a time"),
        ('c,,,,"5,3,1",52,,', "lon: \"5,3,1\" is not a number"),
        ("d,,,,5,,,", "lon: without lat"),
        ("e,,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z,5,52,,", "placed_until: must be after placed_from"),
        ("f,1h", "the row has 2 cells (expected 8, as in the header)"),
        ("g,,,,,,maybe,", "secret: \"maybe\" is not a valid value (expected yes or no)"),
        ("h,1h,2026-01-01T00:00:00Z,,5,52,,", None),
        ("h,2h,2026-03-01T00:00:00Z,,5,52,,", "heartbeat: device h has"),
        ("old,,2026-01-15T00:00:00Z,,5,52,,", "placed_from: device old is already placed from 2026-01-01T00:00:00Z"),
        ("i,,,,,,,AAAA", None),
        ("j,,,,,,,aaaa", "account: account AAAA belongs to device i on line 13"),
        ("k,,,2020-01-01T00:00:00Z,5,52,,", "placed_until: is in the past"),
    ]
    text = "device_id,heartbeat,placed_from,placed_until,lon,lat,secret,account\n" + "\n".join(row for row, _ in rows)
    file = registry.file(text)
    complaints = registry.refused("devices", "import", file)
    for number, (row, words) in enumerate(rows, 2):
        mine = [line for line in complaints if line.startswith(f"{file}:{number}: ")]
        assert bool(mine) == bool(words), (row, complaints)
        assert not words or any(words in line for line in mine), (row, mine)
    assert sorted(complaints[:-1], key=lambda line: int(line.split(":")[1])) == complaints[:-1]


def test_a_moved_device_leaves_where_it_stood_and_a_missing_column_leaves_what_was(registry):
    head = "device_id,placed_from,lon,lat"
    registry.done("devices", "import", "-", stdin=f"{head},address,secret\na,2026-01-01T00:00:00Z,5,52,here,yes\n")
    registry.done("devices", "import", "-", stdin=f"{head}\na,2026-05-01T00:00:00Z,6,53\n")
    rows = registry.query("select upper(during) = '2026-05-01Z', address, secret from mobeye.placement order by during")
    assert rows == [(True, "here", True), (None, None, True)]


def test_without_a_column_of_ends_placements_end_when_they_did(registry):
    registry.done("devices", "import", "-", stdin="device_id,placed_from,placed_until,lon,lat\n"
                                                  "back,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,5,52\n"
                                                  "back,2026-02-01T00:00:00Z,2026-03-01T00:00:00Z,6,52\n"
                                                  "loan,2026-01-01T00:00:00Z,2099-01-01T00:00:00Z,5,52\n"
                                                  "open,2026-01-01T00:00:00Z,,5,52\n")
    ends = "select device_id, upper(during)::text from mobeye.placement order by device_id, during"
    before = registry.query(ends)
    again = ("device_id,placed_from,lon,lat,instructions\nback,2026-01-01T00:00:00Z,5,52,achterom\nback,2026-02-01T00:00:00Z,6,52,bel\n"
             "loan,,5,52,bel\nopen,,5,52,bel\n")
    counts, _ = registry.done("devices", "import", "-", stdin=again)
    assert registry.query(ends) == before
    assert (counts[0]["placements_added"], counts[0]["placements_changed"]) == (0, 4)
    # With the column, an empty cell is a value.
    registry.done("devices", "import", "-", stdin="device_id,placed_until,lon,lat\nloan,,5,52\n")
    assert registry.query("select upper_inf(during) from mobeye.placement where device_id = 'loan'") == [(True,)]


def test_two_placements_of_a_file_need_an_end_between_them(registry):
    file = "device_id,placed_from,lon,lat\na,2026-01-01T00:00:00Z,5,52\na,2026-02-01T00:00:00Z,6,52\n"
    line = registry.refused("devices", "import", "-", stdin=file)[0]
    assert line == ("-:3: placed_from: device a has an overlapping placement on line 2 (expected placed_until there, not after "
                    "2026-02-01T00:00:00Z)")


def test_the_line_that_overlaps_is_named_and_an_end_that_is_stored(registry):
    columns, rows = "device_id,placed_from,lon,lat", [f"a,2026-0{month}-01T00:00:00Z,5,52" for month in (1, 2, 4)]
    until = [f"{row},2026-{end}-01T00:00:00Z" for row, end in zip(rows, ("09", "03", "05"))]
    said = registry.refused("devices", "import", "-", stdin="\n".join([columns + ",placed_until", *until]) + "\n")
    assert said[:2] == [f"-:{line}: placed_from: device a has an overlapping placement on line 2" for line in (3, 4)]
    registry.done("devices", "import", "-", stdin=f"{columns},placed_until\n{until[0]}\n")
    said = registry.refused("devices", "import", "-", stdin="\n".join([columns, rows[0], rows[2]]) + "\n")
    assert said[0] == ("-:3: placed_from: device a has an overlapping placement on line 2, which is stored until 2026-09-01T00:00:00Z")


def test_without_a_start_it_stands_there_since_it_does(registry):
    text = "device_id,lon,lat\na,5,52\n"
    registry.done("devices", "import", "-", stdin=text)
    before = registry.state()
    registry.done("devices", "import", "-", stdin=text)
    assert registry.state() == before
    registry.done("devices", "import", "-", stdin="device_id,lon,lat\na,5,53\n")
    assert registry.query("select count(*), count(*) filter (where upper_inf(during)) from mobeye.placement") == [(2, 1)]


def test_swapped_accounts_are_swapped(registry):
    registry.done("devices", "import", "-", stdin="device_id,account\na,AAAA\nb,BBBB\n")
    registry.done("devices", "import", "-", stdin="device_id,account\na,BBBB\nb,AAAA\n")
    rows = registry.query("select device_id, account from mobeye.device_address order by 1")
    assert rows == [("a", "BBBB"), ("b", "AAAA")]


def test_an_unknown_column_is_told(registry):
    assert "unknown column \"modle\" (expected device_id," in registry.refused("devices", "import", "-",
                                                                              stdin="device_id,modle\nx,y\n")[0]


DUTCH = """\
Device ID;Model;Account;RD X;RD Y;Placed from;Secret;Address;;
NL-1;MiniPir café;0042;155990,61;464256,19;28-11-2026 14:00;ja;"Straat 1; achter";;
NL-2;MiniPir;3071;155.990,61;464.256,19;28-11-2026 15:00;nee;Straat 2;;
;;;;;;;;;
"""


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_sheet_is_taken_as_a_dutch_spreadsheet_saves_it(registry, encoding):
    file = registry.file(DUTCH.replace("\n", "\r\n").encode(encoding), "sets.csv")
    counts, notes = registry.done("devices", "import", file)
    assert counts[0]["devices_added"] == 2 and counts[0]["placements_added"] == 2
    assert f"{file}: note: columns are separated by semicolons\n" in notes
    assert (f"{file}:2: note: is not UTF-8, so the file is read as Windows-1252\n" in notes) == (encoding == "cp1252")
    assert f'{file}:2: note: rd_x: "155990,61" read as 155990.61 (decimal comma) (and 1 more)\n' in notes
    assert f'{file}:2: note: secret: "ja" read as yes (and 1 more)\n' in notes
    assert f'{file}:2: note: placed_from: "28-11-2026 14:00" read as 2026-11-28T14:00:00+0000 (' in notes
    rows = registry.query("select d.model, a.account, address, secret, lower(during) = '2026-11-28 14:00Z', round(st_x("
                          "st_transform(geom, 28992))::numeric, 2) from mobeye.device d join mobeye.device_address a"
                          " using (device_id) join mobeye.placement using (device_id) where device_id = 'NL-1'")
    assert [(*row[:5], float(row[5])) for row in rows] == [
        ("MiniPir café", "0042", "Straat 1; achter", True, True, 155990.61)]


def test_times_of_a_sheet_are_in_the_time_zone_of_the_configuration(registry, bounded):
    text = "device_id,lon,lat,placed_from\nNL-1,5.38,52.15,28-11-2026 14:00\n"
    _, notes = registry.done("devices", "import", "-", "-c", bounded, stdin=text)
    assert '-:2: note: placed_from: "28-11-2026 14:00" read as 2026-11-28T14:00:00+0100 (Europe/Amsterdam)' in notes
    registry.done("device", "place", "NL-1", "--at", "5.38,52.16", "-c", bounded, "--from", "28-11-2026 15:00")
    assert registry.query("select lower(during) = '2026-11-28 14:00Z' from mobeye.placement where upper_inf(during)") == [
        (True,)]
    line, = registry.refused("device", "place", "NL-1", "--at", "5.38,52.16", "-c", bounded, "--from",
                             "25-10-2026 02:30", status=2)[:1]
    assert "exists twice in Europe/Amsterdam" in line


def test_a_device_is_placed_in_rd_new(registry):
    registry.done("devices", "import", "-", stdin="device_id\nNL-1\n")
    row, _ = registry.done("device", "place", "NL-1", "--at", "155990.61 464256.19")
    assert (row[0]["rd_x"], row[0]["rd_y"]) == (155991, 464256)


def test_a_workbook_is_named_as_such(registry):
    line = registry.refused("devices", "import", registry.file(b"PK\3\4\0\0", "sets.xlsx"))[0]
    assert "sets.xlsx: is a workbook (.xlsx or .ods), not CSV (in the spreadsheet, save the sheet as CSV UTF-8)" in line


def test_accounts_that_lost_their_zeros_are_warned_of(registry):
    text = "device_id,account\nNL-1,3071\nNL-2,42\nNL-3,0043\nNL-4,44\n"
    _, notes = registry.done("devices", "import", "-", stdin=text)
    assert notes == ("-:3: warning: account: 42 has fewer digits than 3071 on line 2 (a spreadsheet drops leading zeros; "
                     "accounts are compared without them)\n")
    assert registry.query("select account from mobeye.device_address order by device_id") == [
        ("3071",), ("42",), ("0043",), ("44",)]


def test_a_dry_run_shows_the_first_rows_and_stores_nothing(registry):
    registry.done("teams", "import", "-", stdin="team;layer;code\nnoord;;\n")
    before = registry.state()
    ran = registry.run("devices", "import", "-", "--dry-run", stdin=DUTCH)
    assert ran.returncode == 0, ran.stderr
    assert "The first rows, as interpreted:\n" in ran.stdout and "Nothing was stored" in ran.stdout
    row = next(line.split() for line in ran.stdout.splitlines() if " NL-1 " in line)
    assert {"0042", "5.40168", "52.16646", "t"} <= set(row)
    counts, _ = registry.done("devices", "import", "-", "--dry-run", stdin=DUTCH)
    assert counts[0]["devices_added"] == 2
    ran = registry.run("people", "import", "-", "--dry-run", stdin="Login;Name;Team\njan;Jan;noord\n")
    assert "jan" in ran.stdout and ran.returncode == 0
    assert "zuid" in registry.run("teams", "import", "-", "--dry-run", stdin="team,layer,code\nzuid,,\n").stdout
    assert registry.state() == before
    assert registry.query("select count(*) from mobeye.person") == [(0,)]
    assert registry.query("select team from mobeye.team") == [("noord",)]
    assert "does not exist" in registry.refused("people", "import", "-", "--dry-run", stdin="login,name,team\na,A,oost\n")[0]


def test_a_dry_run_of_areas_shows_them_and_what_would_be_removed(registry):
    registry.done("areas", "import", "--layer", "hotspot", registry.file(collection(({"code": "A", "name": "a"}, square()))))
    other = registry.file(collection(({"code": "B", "name": "Nieuwland", "homes": 1200}, square(6)),
                                     ({"code": "C", "name": "strik"}, BOW_TIE)))
    before = registry.state()
    ran = registry.run("areas", "import", "--layer", "hotspot", "--dry-run", other)
    assert ran.returncode == 0, ran.stderr
    assert "geometry: is invalid" in ran.stderr
    assert "The first rows, as interpreted:\n" in ran.stdout and "Nothing was stored" in ran.stdout
    row = next(line.split() for line in ran.stdout.splitlines() if " Nieuwland " in line)
    assert {"B", "1200", "6.05000", "52.05000"} <= set(row), row
    assert registry.done("areas", "import", "--layer", "hotspot", "--dry-run", other)[0] == [
        {"areas": 2, "added": 2, "changed": 0, "removed": 1}]
    assert registry.state() == before
    assert "duplicate" in registry.refused("areas", "import", "--layer", "hotspot", "--dry-run", registry.file(
        collection(({"code": "A", "name": "a"}, square()), ({"code": "A", "name": "b"}, square())), "twice"))[0]


def test_a_number_of_homes_that_is_not_known_is_left_out(registry):
    given = {"A": 1200, "B": 12.0, "C": 0, "D": -99997, "E": -99995, "F": None}
    file = registry.file(collection(*(({"code": code, "name": code, "homes": homes}, square(5 + i))
                                      for i, (code, homes) in enumerate(given.items()))))
    _, said = registry.done("areas", "import", "--layer", "buurt", file)
    assert said.count("properties.homes: 0 read as not known (and 2 more)") == said.count("\n") == 1
    assert dict(registry.query("select code, homes from mobeye.area")) == \
        {"A": 1200, "B": 12, **dict.fromkeys("CDEF")}
    for homes in (12.5, "many", 1e9, "1e", "0x10", " 12"):
        file = registry.file(collection(({"code": "A", "name": "A", "homes": homes}, square())), "bad")
        assert "properties.homes: is not a number of homes" in registry.refused("areas", "import", "--layer", "buurt", file)[0]


def test_a_device_is_placed_retrieved_and_shown(registry):
    registry.add_team("noord")
    registry.done("devices", "import", registry.file(DEVICES))
    assert 'team "oost" does not exist' in registry.refused("device", "place", "NL-2", "--at", "5.38421,52.19634",
                                                            "--team", "oost")[0]
    registry.add_team("oost")
    placed, complaints = registry.done("device", "place", "NL-2", "--at", "5.38421,52.19634", "--address", "Straat 3",
                                       "--team", "oost", "--secret", "--from", "2026-01-01T00:00:00+01:00")
    assert complaints == ""
    shown, _ = registry.done("device", "show", "NL-2")
    assert shown["device"]["state"] == "placed"
    assert shown["placements"] == [{"placement_id": placed[0]["placement_id"], "placed_from": "2025-12-31T23:00:00+00:00",
                                    "placed_until": None, "lon": 5.38421, "lat": 52.19634, "address": "Straat 3",
                                    "team": "oost", "secret": True, "instructions": None}]
    registry.done("device", "place", "NL-2", "--at", "5.38422,52.19634", "--from", "2026-01-01T00:00:00+01:00")
    assert registry.done("device", "show", "NL-2")[0]["placements"] == [{**shown["placements"][0], "lon": 5.38422}]
    registry.done("device", "retrieve", "NL-2")
    shown, _ = registry.done("device", "show", "NL-2")
    assert shown["device"]["state"] == "stock" and shown["placements"][0]["placed_until"]
    assert "has no placement" in registry.refused("device", "retrieve", "NL-2")[0]
    assert "not registered" in registry.refused("device", "place", "NL-9", "--at", "5,52")[0]
    assert "not registered" in registry.refused("device", "show", "NL-9")[0]
    assert "out of range" in registry.refused("device", "place", "NL-2", "--at", "155000,63000", status=2)[0]
    text = registry.run("device", "show", "NL-1")
    assert text.returncode == 0 and "Straat 1, Amersfoort" in text.stdout and "AB12" in text.stdout


def test_unknown_senders_are_listed(registry):
    registry.query("insert into mobeye.device_status values ('dc09:AB12/1', false, now(), now(), now(), 'portal', 'dc09:AB12',"
                   " 'motion') returning 1")
    listed, _ = registry.done("devices", "unknown")
    assert [(row["device_id"], row["kind"], row["endpoint"]) for row in listed] == [("dc09:AB12/1", "motion", "portal")]
    registry.add_team("noord")
    registry.done("devices", "import", registry.file(DEVICES))
    assert registry.done("devices", "unknown")[0] == []


def test_a_member_of_mobeye_registry_imports_devices_and_areas_and_no_people(registry, database):
    registry.add_team("noord")

    def run(*arguments, stdin):
        return subprocess.run([MOBEYECTL, *arguments, "--db", f"{database.conninfo} options='-c role=mobeye_registry'"],
                              input=stdin, capture_output=True, text=True, timeout=120)
    done = run("devices", "import", "-", stdin=DEVICES)
    assert done.returncode == 0, done.stderr
    done = run("areas", "import", "--layer", "wijk", "-", stdin=collection(({"code": "A", "name": "a"}, BOW_TIE)))
    assert done.returncode == 0, done.stderr
    done = run("device", "retrieve", "NL-1", stdin="")
    assert done.returncode == 0, done.stderr
    done = run("people", "import", "-", stdin="login,name,team\njan,Jan,\n")
    assert done.returncode == 1 and "permission denied" in done.stderr


PLACES = "device_id,lon,lat,rd_x,rd_y\nNL-1,5.38,52.15,,\nNL-2,52.15,5.38,,\nNL-3,4.5,51.9,,\nNL-4,,,155000,463000\n"


@pytest.fixture
def bounded(registry, daemons):
    """The file of a daemon whose bounds are those of Amersfoort."""
    daemon = daemons(registry.database.ingest)
    daemon.write(more="bounds: [5.2, 52.0, 5.6, 52.3]\n")
    registry.done("devices", "import", "-", stdin="device_id\nNL-1\n")
    return str(daemon.file)


def test_a_place_outside_bounds_is_refused_and_swapped_ones_are_asked_about(registry, bounded):
    swapped = registry.refused("device", "place", "NL-1", "--at", "52.15,5.38", "-c", bounded)
    assert swapped == ["mobeyectl device: --at: 52.15000 5.38000 lies outside bounds (5.2 52 5.6 52.3): did you swap them? "
                       "(expected longitude first; --anyway accepts it)"]
    far, = registry.refused("device", "place", "NL-1", "--at", "4.5,51.9", "-c", bounded)
    assert "lies outside bounds" in far and "swap" not in far and "--anyway" in far
    assert registry.query("select count(*) from mobeye.placement") == [(0,)]
    registry.done("device", "place", "NL-1", "--at", "4.5,51.9", "-c", bounded, "--anyway")
    assert registry.query("select st_x(geom), st_y(geom) from mobeye.placement") == [(4.5, 51.9)]


def test_without_a_file_only_what_is_in_the_netherlands_when_swapped_is_refused(registry):
    registry.done("devices", "import", "-", stdin="device_id\nNL-1\n")
    line, = registry.refused("device", "place", "NL-1", "--at", "52.15,5.38")
    assert "outside the Netherlands: did you swap them?" in line
    registry.done("device", "place", "NL-1", "--at", "52.15,5.38", "--anyway")
    registry.done("device", "place", "NL-1", "--at", "13.4,52.5")  # Berlin, who knows
    registry.done("device", "place", "NL-1", "--at", "5.38,52.15")


def test_a_file_of_bounds_that_cannot_be_read_is_no_reason_to_take_anything(registry, tmp_path):
    registry.done("devices", "import", "-", stdin="device_id\nNL-1\n")
    lines = registry.refused("device", "place", "NL-1", "--at", "5.38,52.15", "-c", tmp_path / "none.yaml")
    assert any("none.yaml" in line for line in lines)


def test_wijk_and_rd_of_what_was_placed_are_told(registry, bounded):
    registry.done("areas", "import", "--layer", "wijk", "-", "-c", bounded, stdin=collection(
        ({"code": "WK030701", "name": "Centrum"}, square(5.35, 52.1))))
    row, _ = registry.done("device", "place", "NL-1", "--at", f"{CHECK_POINT[0]},{CHECK_POINT[1]}", "-c", bounded)
    row = row[0] if isinstance(row, list) else row
    assert (row["wijk_code"], row["wijk_name"], row["rd_x"], row["rd_y"]) == ("WK030701", "Centrum", 155991, 464256)
    row, _ = registry.done("device", "place", "NL-1", "--at", "5.25,52.05", "-c", bounded)
    row = row[0] if isinstance(row, list) else row
    assert row["wijk_code"] is None and 140000 < row["rd_x"] < 150000
    told = registry.run("devices", "import", "-", "-c", bounded, stdin="device_id,rd_x,rd_y\nNL-8,155990.61,464256.19\nNL-9,145000,453000\n").stderr
    assert told.splitlines() == ["-:2: device NL-8 stands in wijk WK030701 Centrum, RD 155991 464256",
                                 "-:3: device NL-9 stands in no wijk, RD 145000 453000"]


def test_rows_outside_bounds_are_refused_by_line(registry, bounded):
    lines = registry.refused("devices", "import", "-", "-c", bounded, stdin=PLACES)
    assert lines == ["-:3: lon: 52.15000 5.38000 lies outside bounds (5.2 52 5.6 52.3): did you swap them? "
                     "(expected longitude first; --anyway accepts it)",
                     "-:4: lon: 4.50000 51.90000 lies outside bounds (5.2 52 5.6 52.3) (--anyway accepts it)",
                     "mobeyectl devices: -: 2 errors; nothing was imported"]
    told = registry.run("devices", "import", "-", "-c", bounded, "--anyway", stdin=PLACES).stderr
    assert "-:3: device NL-2 stands in no wijk, outside RD New" in told.splitlines()
    assert registry.query("select count(*) from mobeye.placement") == [(4,)]


def test_areas_outside_bounds_are_refused_by_name(registry, bounded):
    flipped = [[y, x] for x, y in square(5.35, 52.1)]
    file = collection(({"code": "A", "name": "a"}, square(5.35, 52.1)), ({"code": "B", "name": "b"}, flipped),
                      ({"code": "C", "name": "c"}, square(4.0, 51.0)), ({"code": "D", "name": "d"}, square(5.55, 52.25)))
    lines = registry.refused("areas", "import", "--layer", "beat", "-", "-c", bounded, stdin=file)
    assert len(lines) == 3 and "feature 2 (B, b): geometry: " in lines[0] and "did you swap them?" in lines[0]
    assert "feature 3 (C, c): geometry: 4.00000 51.00000 lies outside bounds" in lines[1] and "swap" not in lines[1]
    lines = registry.refused("areas", "import", "--layer", "beat", "-", stdin=file)  # no file: only what is swapped
    assert len(lines) == 2 and "feature 2 (B, b)" in lines[0]
    registry.done("areas", "import", "--layer", "beat", "-", "-c", bounded, "--anyway", stdin=file)
    assert registry.query("select count(*) from mobeye.area") == [(4,)]
