"""Imports of devices and secret homes: what a file does not say does not end the secrecy of a home."""
import pytest

HOME = "5.38421,52.19634"
NEAR = "154795,467577"  # RD New in whole metres, 3 m from there
PLACED = "select device_id, address, team, secret from mobeye.placement where upper_inf(during) order by device_id"


@pytest.fixture
def sheltered(registry):
    registry.done("teams", "import", "-", stdin="team,layer,code\nnoord,,\nzuid,,\n")
    registry.done("devices", "import", "-", stdin="device_id,placed_from,lon,lat,address,team,secret\n"
                                                  f"H1,2026-01-01T00:00:00Z,{HOME},Opvang 3,noord,yes\n")
    return registry


def imported(registry, text):
    """How the devices of a file stand there then, by device: (team, secret); and its warnings. Again it changes nothing."""
    _, said = registry.done("devices", "import", "-", stdin=text)
    placed = "select device_id, team, secret from mobeye.placement where upper_inf(during) order by device_id"
    rows = registry.query(placed)
    registry.done("devices", "import", "-", stdin=text)
    assert registry.query(placed) == rows
    return {device: (team, secret) for device, team, secret in rows}, [line for line in said.splitlines() if " secret" in line]


THERE = "the placement there is secret, of team noord; this one is too (set secret to no if it is not)"
BEFORE = "the placement of the device before is secret, of team noord; this one is too (set secret to no if it is not)"
EMPTY = "secret: is empty, but the placement stays secret, of team noord (secret: no makes it plain)"


@pytest.mark.parametrize("columns, row, said", [
    ("rd_x,rd_y,address", f"{NEAR},Opvang 3", BEFORE),  # a new placement, 3 m off
    ("rd_x,rd_y,address", f"{NEAR},\"opvang  3, Amersfoort\"", BEFORE),  # its address is written otherwise
    ("rd_x,rd_y", NEAR, BEFORE),
    ("rd_x,rd_y,secret,team", f"{NEAR},,", BEFORE),
    ("lon,lat", "5.5,52.3", BEFORE),  # it moves: nobody says that this is another home
    ("rd_x,rd_y,address", f"{NEAR},Opvang 4", BEFORE),
    ("placed_from,lon,lat", f"2026-01-01T00:00:00Z,{HOME}", None),
    ("placed_from,rd_x,rd_y,address", f"2026-01-01T00:00:00Z,{NEAR},Opvang III", None),  # a correction
    ("placed_from,lon,lat,secret", f"2026-01-01T00:00:00Z,{HOME},", EMPTY),
    ("placed_from,lon,lat,secret,team", f"2026-01-01T00:00:00Z,{HOME},,", EMPTY),
    ("placed_from,lon,lat,team", f"2026-01-01T00:00:00Z,{HOME},", EMPTY.replace("secret: is", "team: is")),
])
def test_what_a_file_does_not_say_leaves_a_home_secret(sheltered, columns, row, said):
    stand, warned = imported(sheltered, f"device_id,{columns}\nH1,{row}\n")
    assert stand == {"H1": ("noord", True)}
    assert [line.partition("-:2: warning: ")[2].removeprefix("secret: " if said in (THERE, BEFORE) else "") for line in warned] == (
        [said] if said else [])


def test_a_set_that_goes_to_another_address_leaves_its_secret_home(sheltered):
    stand, warned = imported(sheltered, "device_id,placed_from,lon,lat,address,team\nH1,2026-02-01T00:00:00Z,5.55,52.35,Gewoon 77,zuid\n")
    assert stand == {"H1": ("zuid", False)}
    assert warned == ["-:2: warning: secret: the placement of the device before is secret; this one, at another address, is not"
                      " (set secret to yes if it is)"]
    assert sheltered.query("select address from mobeye.placement where secret") == [("Opvang 3",)]


@pytest.mark.parametrize("columns, row, team", [
    ("lon,lat,address", f"{HOME},Opvang 3", "noord"),
    ("lon,lat,address", "5.5,52.3,\" OPVANG,  3 \"", "noord"),  # its address, wherever it is said to be
    ("lon,lat", HOME, "noord"),
    ("rd_x,rd_y", "154795.32,467580.35", "noord"),
    ("lon,lat,address", f"{HOME},Opvang III", "noord"),  # nobody knows that as another home
    ("lon,lat,address,secret", f"{HOME},Opvang 3,", "noord"),
    ("lon,lat,address,team", f"{HOME},Opvang 3,zuid", "zuid"),
    ("placed_from,lon,lat,address", f"2025-01-01T00:00:00Z,{HOME},Opvang 3", "noord"),
])
def test_another_device_at_a_secret_home_is_secret(sheltered, columns, row, team):
    stand, warned = imported(sheltered, f"device_id,{columns}\nS2,{row}\n")
    assert stand == {"H1": ("noord", True), "S2": (team, True)}
    assert warned == [f"-:2: warning: secret: {THERE}"]


def test_a_placement_that_comes_to_a_secret_home_by_a_correction_is_secret(sheltered):
    start = "2026-02-01T00:00:00Z"
    sheltered.done("devices", "import", "-", stdin="device_id,placed_from,lon,lat,address\n"
                                                   f"P1,{start},5.4,52.2,Straat 1\nP2,{start},5.4,52.2,Straat 2\nP3,{start},5.4,52.2,Straat 3\n")
    stand, warned = imported(sheltered, f"device_id,placed_from,lon,lat,address\nP1,{start},{HOME},Straat 1\n"
                                        f"P2,{start},5.4,52.2,opvang 3\nP3,{start},5.4001,52.2,Straat 3\n")
    assert stand == {"H1": ("noord", True), "P1": ("noord", True), "P2": ("noord", True), "P3": (None, False)}
    assert warned == [f"-:{line}: warning: secret: {THERE}" for line in (2, 3)]


@pytest.mark.parametrize("end", ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"])
def test_a_home_whose_placement_ended_is_secret_when_it_is_opened_again(sheltered, end):
    sheltered.done("device", "retrieve", "H1", "--at", end)
    stand, warned = imported(sheltered, f"device_id,placed_from,rd_x,rd_y\nH1,2026-03-01T00:00:00Z,{NEAR}\n")
    assert stand == {"H1": ("noord", True)} and warned == [f"-:2: warning: secret: {BEFORE}"]


def test_an_earlier_placement_of_the_same_home_is_secret(sheltered):
    sheltered.done("devices", "import", "-", stdin="device_id,placed_from,placed_until,rd_x,rd_y\n"
                                                   f"H1,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z,{NEAR}\n")
    assert sheltered.query("select team, secret from mobeye.placement") == [("noord", True)] * 2


def test_rows_of_a_file_follow_from_each_other(registry):
    registry.add_team("noord")
    stand, warned = imported(registry, "device_id,placed_from,placed_until,lon,lat,address,team,secret\n"
                                       "S2,2026-01-01T00:00:00Z,,5.5,52.3,,,\n"  # where H1 stands later
                                       f"H1,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,{HOME},Opvang 3,noord,yes\n"
                                       "H1,2026-02-01T00:00:00Z,,5.5,52.3,,,\n"
                                       f"P1,2026-01-01T00:00:00Z,,{HOME},Straat 1,,\n"  # the file tells them apart
                                       f"P2,2026-01-01T00:00:00Z,,{HOME},,,\n")
    assert stand == {"H1": ("noord", True), "S2": ("noord", True), "P1": (None, False), "P2": ("noord", True)}
    assert sorted(warned) == [f"-:{line}: warning: secret: {BEFORE if line == 4 else THERE}" for line in (2, 4, 6)]


def test_who_says_that_a_home_is_secret_needs_not_say_for_which_team(sheltered):
    stand, warned = imported(sheltered, f"device_id,lon,lat,address,secret\nS2,{HOME},Opvang 3,yes\nS3,5.5,52.3,Schuil 1,yes\n")
    assert stand == {"H1": ("noord", True), "S2": ("noord", True), "S3": (None, True)}
    assert warned == [f"-:2: warning: team: {THERE}"]
    stand, _ = imported(sheltered, f"device_id,lon,lat,secret,team\nS2,{HOME},yes,\n")  # an empty cell is a value there
    assert stand["S2"] == (None, True)


@pytest.mark.parametrize("columns, row, another", [
    ("placed_from,lon,lat", f"2026-01-01T00:00:00Z,{HOME}", (None, False)),
    ("rd_x,rd_y", NEAR, (None, False)),
    ("lon,lat,address", "5.5,52.3,Opvang 3", ("noord", True)),  # where a placement was secret
])
def test_a_home_that_a_file_says_is_not_secret_is_plain_and_stays_so(sheltered, columns, row, another):
    lift = f"device_id,{columns},secret,team\nH1,{row},no,zuid\n"
    sheltered.done("devices", "import", "-", stdin=lift)
    assert sheltered.query(PLACED.replace("address, ", "")) == [("H1", "zuid", False)]
    stand, warned = imported(sheltered, f"device_id,{columns}\nH1,{row}\n")
    assert stand == {"H1": ("zuid", False)} and warned == []
    stand, warned = imported(sheltered, lift + f"S2,{row},,\n")
    assert stand == {"H1": ("zuid", False), "S2": another} and len(warned) == another[1]


def test_another_home_at_the_same_point_or_elsewhere_stays_plain(sheltered):
    start = "2026-02-01T00:00:00Z"
    sheltered.done("devices", "import", "-", stdin="device_id,placed_from,lon,lat,address,secret\n"
                                                   f"F44,{start},{HOME},Flat 44,no\nP1,{start},5.5,52.3,Straat 1,\n")
    stand, warned = imported(sheltered, f"device_id,placed_from,lon,lat,address\nF44,{start},5.384211,52.19634,Flat 44\n"
                                        f"F45,{start},{HOME},flat 44\nP1,{start},5.5001,52.3,Straat 1\nP2,{start},5.38431,52.19634,Straat 2\n")
    assert {device: secret for device, (_, secret) in stand.items() if secret} == {"H1": True} and warned == []
