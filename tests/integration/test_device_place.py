"""A device is placed: where its place comes from, what is corrected, and that a secret home stays secret."""
import re

import pytest

from harness.registry import collection, square

DEVICES = """\
device_id,placed_from,placed_until,address,lon,lat,team,secret
NL-1,2026-01-01T00:00:00Z,2026-03-01T00:00:00Z,"Straat 1, achter",5.38421,52.19634,noord,yes
NL-1,2026-03-01T00:00:00Z,,Straat 2,5.4,52.2,noord,no
NL-2,,,,,,,
"""


@pytest.fixture
def filled(registry):
    registry.done("areas", "import", "--layer", "wijk", "-", stdin=collection(({"code": "WK01", "name": "Centrum"}, square(5.3, 52.1))))
    registry.done("teams", "import", "-", stdin="team,layer,code\nnoord,wijk,WK01\nzuid,,\n")
    registry.done("devices", "import", "-", stdin=DEVICES)
    return registry


def test_a_device_is_placed_at_an_address_or_an_incident(filled, database):
    row, said = filled.done("device", "place", "NL-2", "--at", "straat 2")
    assert "straat 2 is 5.4,52.2, where NL-1 was placed on 2026-03-01" in said
    assert filled.query("select address, st_x(geom), st_y(geom) from mobeye.placement where device_id = 'NL-2'") == [
        ("Straat 2", 5.4, 52.2)]
    assert "no placement has the address \"Straat 9\"" in filled.refused("device", "place", "NL-2", "--at", "Straat 9")[0]
    assert "is not a place" in filled.refused("device", "place", "NL-2", "--at", "5.4", status=2)[0]
    filled.done("device", "place", "NL-2", "--at", "5.5,52.3", "--address", "Straat 2")
    assert "is the address of several placements" in filled.refused("device", "place", "NL-1", "--at", "Straat 2")[0]
    assert "incident 2026-000010 does not exist" in filled.refused("device", "place", "NL-1", "--at", "2026-10")[0]


def test_the_address_of_a_secret_home_stays_secret(filled):
    placed = "select team, secret from mobeye.placement where device_id = 'NL-2' and upper_inf(during)"
    _, said = filled.done("device", "place", "NL-2", "--at", "straat 1 achter")
    assert "note: --at: the placement there is secret, of team noord; this one is too" in said
    assert filled.query(placed) == [("noord", True)]
    filled.done("device", "place", "NL-2", "--at", " straat 1\t\u00a0ACHTER ", "--team", "zuid")
    assert filled.query(placed) == [("zuid", True)]
    _, said = filled.done("device", "place", "NL-2", "--at", "straat 2")
    assert "this one is too" not in said and filled.query(placed) == [(None, False)]
    assert said.count("secret") == 2 and ("note: --at: the placement of the device before is secret; this one, at another address,"
                                          " is not (--secret if it is)") in said


@pytest.mark.parametrize("place, secret", [
    (["--at", "5.5,52.3", "--address", "straat 1 ACHTER"], "--address"),  # its address, wherever it is said to be
    (["--at", "5.5,52.3", "--address", " straat 1\t\u00a0ACHTER "], "--address"),
    (["--at", "5.38421,52.19634"], "--at"),  # its point
    (["--at", "RD"], "--at"),  # the same in RD New, in whole centimetres
    (["--at", "5.38421,52.19634", "--address", "Straat 1, voor"], "--at"),  # nobody knows that as another home
    (["--at", "5.38421,52.19634", "--address", "Straat 2"], None),  # another home, which happens to have that point
    (["--at", "5.38431,52.19634"], None),
])
def test_coordinates_of_a_secret_home_stay_secret(filled, place, secret):
    rd, = filled.query("select round(st_x(p)::numeric, 2) || ' ' || round(st_y(p)::numeric, 2)"
                       " from st_transform('SRID=4326;POINT(5.38421 52.19634)'::geometry, 28992) p")[0]
    _, said = filled.done("device", "place", "NL-2", *[rd if word == "RD" else word for word in place])
    assert re.findall("note: (.*): the placement there is secret, of team noord; this one is too", said) == ([secret] if secret else [])
    assert filled.query("select team, secret from mobeye.placement where device_id = 'NL-2'") == [
        ("noord", True) if secret else (None, False)]


def test_an_address_is_secret_though_a_later_row_of_a_file_said_no(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,placed_from,secret\n"
                                                "NL-3,5.38421,52.19634,\"Straat 1, achter\",zuid,2026-05-01T00:00:00Z,no\n")
    _, said = filled.done("device", "place", "NL-2", "--at", "straat 1 achter")
    assert "where NL-3 was placed on 2026-05-01" in said and "secret, of team noord; this one is too" in said
    assert filled.query("select team, secret from mobeye.placement where device_id = 'NL-2'") == [("noord", True)]


@pytest.mark.parametrize("device, placed, point", [
    ("NL-3", "placement_id", "5.41 52.17"),
    ("NL-3", "device_placement_id", "5.41 52.17"),  # the set has another name now, and told where it was itself
    ("dc09:CD34/1", "placement_id", "5.4 52.25"),  # the place is that of another device
])
def test_the_incident_of_a_secret_home_stays_secret_whatever_its_device_is_called(filled, device, placed, point):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,Geheim 1,noord,yes,2026-01-01T00:00:00Z\n")
    reference, = filled.query(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, geom,"
        f" {placed}) select gen_random_uuid(), 'service', 4, 'battery', '{device}', now(), now(), now(), 'SRID=4326;POINT({point})',"
        " placement_id from mobeye.placement where device_id = 'NL-3' returning reference")[0]
    filled.query("update mobeye.device set device_id = 'NL-5' where device_id = 'NL-3' returning 1")
    _, said = filled.done("device", "place", "NL-2", "--at", reference)
    assert "note: --at: the placement there is secret, of team noord; this one is too" in said
    assert filled.query("select team, secret from mobeye.placement where device_id = 'NL-2' and upper_inf(during)") == [("noord", True)]


def test_the_incident_of_a_home_that_is_secret_since_keeps_it_secret(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from,placed_until\n"
                                                "NL-3,5.4,52.25,\"Geheim 1, achter\",zuid,no,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n"
                                                "NL-4,5.41,52.26,geheim 1 Achter,noord,yes,2026-03-01T00:00:00Z,\n")
    reference, = filled.query(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, geom,"
        " placement_id) select gen_random_uuid(), 'service', 4, 'battery', 'NL-3', lower(during), lower(during), lower(during), geom,"
        " placement_id from mobeye.placement where device_id = 'NL-3' returning reference")[0]
    _, said = filled.done("device", "place", "NL-2", "--at", reference)
    assert "note: --at: the placement there is secret, of team noord; this one is too" in said
    assert filled.query("select team, secret from mobeye.placement where device_id = 'NL-2' and upper_inf(during)") == [("noord", True)]


def test_the_incident_of_a_flat_takes_nothing_from_another_flat_at_the_same_point(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,Flat 12,noord,yes,2026-01-01T00:00:00Z\n"
                                                "NL-4,5.4,52.25,Flat 44,zuid,no,2026-01-01T00:00:00Z\n")
    reference, = filled.query(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, geom,"
        " placement_id) select gen_random_uuid(), 'service', 4, 'battery', 'NL-4', now(), now(), now(), geom, placement_id"
        " from mobeye.placement where device_id = 'NL-4' returning reference")[0]
    _, said = filled.done("device", "place", "NL-2", "--at", reference)
    assert "secret" not in said
    assert filled.query("select address, team, secret from mobeye.placement where device_id = 'NL-2'") == [("Flat 44", None, False)]


def test_the_incident_of_a_secret_home_whose_placement_has_another_begin_now(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,noord,yes,2026-01-01T00:00:00Z\n")
    reference, = filled.query(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, geom,"
        " secret, secret_team) values (gen_random_uuid(), 'service', 4, 'battery', 'NL-3', '2026-01-02', '2026-01-02', '2026-01-02',"
        " 'SRID=4326;POINT(5.41 52.17)', true, 'noord') returning reference")[0]
    filled.query("update mobeye.placement set during = '[2026-01-03,)' where device_id = 'NL-3' returning 1")
    _, said = filled.done("device", "place", "NL-2", "--at", reference)
    assert "note: --at: the placement there is secret, of team noord; this one is too" in said


def placements(registry, device):
    return registry.query("select address, team, secret, instructions from mobeye.placement"
                          f" where device_id = '{device}' order by lower(during)")


@pytest.mark.parametrize("given, stays", [
    ([], True),
    (["--address", "Flat 12"], False),  # that is where the other one stands
])
def test_a_corrected_flat_takes_nothing_from_another_flat_at_the_same_point(filled, given, stays):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,Flat 12,zuid,yes,2026-01-01T00:00:00Z\n"
                                                "NL-4,5.4,52.25,Flat 44,noord,no,2026-01-01T00:00:00Z\n")
    _, said = filled.done("device", "place", "NL-4", "--at", "5.4,52.25", "--from", "2026-01-01T00:00:00Z",
                          "--instructions", "bel bij buren", *given)
    assert ("secret" not in said) == stays
    assert placements(filled, "NL-4") == [("Flat 44", "noord", False, "bel bij buren") if stays else ("Flat 12", "zuid", True, "bel bij buren")]


@pytest.mark.parametrize("device, start, found", [
    ("NL-4", None, []),
    ("NL-3", None, ["zuid"]),
    ("NL-3", "2026-01-01T00:00:00Z", []),  # it stays what it is
    ("NL-2", None, ["zuid"]),  # nobody knows that as another home
])
def test_a_flat_is_placed_again_as_what_it_is(filled, device, start, found):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,Flat 12,zuid,yes,2026-01-01T00:00:00Z\n"
                                                "NL-4,5.4,52.25,Flat 44,noord,no,2026-01-01T00:00:00Z\n")
    _, said = filled.done("device", "place", device, "--at", "5.4,52.25", "--instructions", "bel", *(["--from", start] if start else []))
    assert re.findall("placement .* is secret, of team (.*); this one is too", said) == found and "becomes secret" not in said
    assert {secret for _, _, secret, _ in placements(filled, device)} == {device != "NL-4"}


@pytest.mark.parametrize("place, team", [
    (["--at", "154796 467583"], "noord"),  # 3 m off: whole metres of RD New
    (["--at", "154796 467583", "--address", "Straat 1"], "noord"),  # written otherwise
    (["--at", "154796 467583", "--team", "zuid"], "zuid"),
    (["--at", "154796 467583", "--from", "2026-06-01T00:00:00Z"], "noord"),
    (["--at", "5.5,52.3"], "noord"),  # it moves: nobody says that this is another home
    (["--at", "5.5,52.3", "--address", "straat 1 ACHTER, "], "noord"),
    (["--at", "5.5,52.3", "--address", "Straat 7"], None),
])
def test_a_set_of_a_secret_home_stays_secret_until_it_goes_to_another_address(filled, place, team):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from\n"
                                                "NL-3,5.38421,52.19634,Straat 1 achter,noord,yes,2026-05-01T00:00:00Z\n")
    _, said = filled.done("device", "place", "NL-3", *place)
    assert [row[1:3] for row in placements(filled, "NL-3")] == [("noord", True), (team, team is not None)]
    told = re.findall("note: --[a-z]*: the placement .* is secret.*", said)
    assert len(told) == 1 and ("; this one is too" if team else "; this one, at another address, is not (--secret if it is)") in told[0]


@pytest.mark.parametrize("place, secret", [
    (["--at", "5.3844,52.1964"], False),  # where it stands, as a file said
    (["--at", "5.3844,52.1964", "--from", "2026-06-01T00:00:00Z"], False),
    (["--at", "5.38445,52.1964"], True),  # another point, at most 50 m from the earlier one
    (["--at", "5.5,52.3"], False),
])
def test_a_set_that_stands_plainly_near_its_earlier_secret_home_is_placed_again_as_what_it_is(filled, place, secret):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,team,secret,placed_from,placed_until\n"
                                                "NL-3,5.38421,52.19634,noord,yes,2026-05-01T00:00:00Z,2026-06-01T00:00:00Z\n"
                                                "NL-3,5.3844,52.1964,zuid,no,2026-06-01T00:00:00Z,\n")
    _, said = filled.done("device", "place", "NL-3", *place, "--instructions", "bel")
    assert placements(filled, "NL-3")[-1][2] == secret and placements(filled, "NL-3")[1][2] is False
    assert ("secret" in said) == secret


def test_a_set_that_is_said_to_be_at_another_secret_home_is_not_said_to_leave_one(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,Geheim 1,noord,yes,2026-05-01T00:00:00Z\n")
    _, said = filled.done("device", "place", "NL-3", "--at", "5.5,52.3", "--address", "Geheim 2", "--secret")
    assert "secret" not in said and placements(filled, "NL-3")[-1][1:3] == (None, True)


def test_a_corrected_secret_home_keeps_its_team(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,team,secret,placed_from\n"
                                                "NL-3,5.4,52.25,zuid,yes,2026-01-02T00:00:00Z\n"
                                                "NL-4,5.4,52.25,noord,yes,2026-01-01T00:00:00Z\n")
    _, said = filled.done("device", "place", "NL-4", "--at", "5.4,52.25", "--from", "2026-01-01T00:00:00Z", "--instructions", "bel")
    assert "secret" not in said and placements(filled, "NL-4") == [(None, "noord", True, "bel")]


def test_a_home_found_by_its_incident_stays_secret_whatever_it_is_called(filled):
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,address,team,secret,placed_from,placed_until\n"
                                                "NL-3,5.4,52.25,Geheim 77,zuid,no,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n"
                                                "NL-4,5.4002,52.25,geheim 77,noord,yes,2026-03-01T00:00:00Z,\n")
    reference, = filled.query(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, geom,"
        " placement_id) select gen_random_uuid(), 'service', 4, 'battery', 'NL-3', lower(during), lower(during), lower(during), geom,"
        " placement_id from mobeye.placement where device_id = 'NL-3' returning reference")[0]
    _, said = filled.done("device", "place", "NL-2", "--at", reference, "--address", "Geheim 77 A")
    assert "note: --at: the placement there is secret, of team noord; this one is too" in said
    assert placements(filled, "NL-2") == [("Geheim 77 A", "noord", True, None)]


def test_the_cell_of_an_incident_is_not_a_place(filled):
    """A person who sees only the cell must not place a device in the middle of it."""
    reference, = filled.query(
        "insert into mobeye.incident (incident_key, category, priority, kind, device_id, first_seen, last_seen, last_received_at, geom)"
        " values (gen_random_uuid(), 'alarm', 2, 'panic', 'NL-1', now(), now(), now(), 'SRID=4326;POINT(5.4 52.2)') returning reference")[0]
    filled.database.execute("create role inzage_en_beheer in role mobeye_registry, mobeye_auditor")
    try:
        ran = filled.run("device", "place", "NL-2", "--at", reference, role="inzage_en_beheer")
    finally:
        filled.database.execute("drop role inzage_en_beheer")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"--at: incident {reference} is shown to you by its cell only (expected" in ran.stderr
    assert placements(filled, "NL-2") == []


@pytest.mark.parametrize("place, corrected", [
    (["--at", "straat 2"], True),
    (["--at", "5.4,52.2"], True),
    (["--at", "5.4,52.2", "--address", "Straat 2"], True),
    (["--at", "5.4,52.2", "--address", "Straat 4"], False),
    (["--at", "5.41,52.2", "--address", "Straat 2"], False),
    (["--at", "straat 2", "--from", "2026-04-01T00:00:00Z"], False),
])
def test_a_home_that_becomes_secret_where_its_device_stands_does_so_from_the_start(filled, place, corrected):
    _, said = filled.done("device", "place", "NL-1", *place, "--secret", "--team", "zuid")
    assert ("note: the device has been there since 2026-03-01T00:00:00.000000Z: that placement becomes secret" in said) == corrected
    assert [row[1:3] for row in placements(filled, "NL-1")] == [
        ("noord", True), *([] if corrected else [("noord", False)]), ("zuid", True)]


def test_a_home_whose_address_is_not_known_becomes_secret_from_the_start(filled):
    filled.done("device", "place", "NL-2", "--at", "5.4,52.25", "--from", "2026-01-01T00:00:00Z")
    _, said = filled.done("device", "place", "NL-2", "--at", "5.4,52.25", "--address", "Straat 9", "--secret")
    assert "note: the device has been there since 2026-01-01T00:00:00.000000Z: that placement becomes secret" in said
    assert placements(filled, "NL-2") == [("Straat 9", None, True, None)]
