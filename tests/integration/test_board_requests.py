"""How the board treats any request: its method, empty members, times, earlier looks."""
import signal

import pytest

from harness.board import make_incident, read_answer
from harness.wait import wait_until


def test_a_head_is_answered_like_a_get_without_the_body(database, board):
    number = make_incident(database)
    board.ask("jansen", f"/api/incident/{number}")  # the first look is in the answer of the next
    with board.connect() as peer:
        for path in ("/api/queue", f"/api/incident/{number}", "/api/incident/x", "/api/mute", "/", "/board.css", "/healthz"):
            peer.sendall(board.head("jansen", path=path))
            status, fields, body = read_answer(peer)
            peer.sendall(board.head("jansen", "HEAD", path))
            answer = read_answer(peer, method="HEAD")
            assert answer == (status, {**fields, "date": answer[1]["date"]}, b""), path
            assert fields["content-length"] == str(len(body)) and body
        peer.sendall(board.head("jansen", path="/"))
        tag = read_answer(peer)[1]["etag"]
        peer.sendall(board.head("jansen", "HEAD", "/", headers=[f"If-None-Match: {tag}"]))
        status, fields, _ = read_answer(peer, method="HEAD")
        assert status == 304 and "content-length" not in fields


@pytest.mark.parametrize("method, path, allowed", [("POST", "/", "GET, HEAD"), ("POST", "/api/queue", "GET, HEAD"), ("GET", "/api/next", "POST"),
                                                   ("HEAD", "/api/mute", "POST"), ("PUT", "/api/queue", "GET, HEAD, POST")])
def test_a_method_that_a_path_does_not_have_is_told_those_that_it_has(board, method, path, allowed):
    with board.connect() as peer:
        peer.sendall(board.head("jansen", method, path))
        status, fields, _ = read_answer(peer, method=method)
        assert (status, fields["allow"]) == (405, allowed)


def test_a_member_that_is_empty_is_left_out(database, board):
    number = make_incident(database)
    empty = dict.fromkeys(("expected_status", "expected_change", "outcome", "note", "officer", "reason"), "")
    for action, more, expected in (("claim", {}, "assigned"), ("release", {}, "acknowledged"), ("on_scene", {}, "on_scene"),
                                   ("close", {"outcome": "no_trace"}, "closed"), ("reopen", {"note": "toch niet"}, "reopened")):
        status, answer = board.act("jansen", number, action, **(empty | more))
        assert (status, answer.get("incident", {}).get("status")) == (200, expected), answer
    status, answer = board.ask("jansen", "/api/next", "POST", {"team": "", "officer": ""})
    assert (status, answer["incident"]["assigned_to"], answer["incident"]["team"]) == (200, "jansen", "noord")
    until = database.value("select to_jsonb(now() + interval '1 hour') #>> '{}'")
    body = {"device": "dev-1", "incident_id": "", "layer": "", "code": "", "until": until, "reason": "storing"}
    status, answer = board.ask("jansen", "/api/mute", "POST", body)
    assert status == 200, answer
    status, answer = board.act("jansen", number, "note", note="")
    assert status == 422 and "note" in answer["message"]


def history_of(board, number, person="jansen"):
    return board.ask(person, f"/api/incident/{number}")[1]["history"]


def test_the_next_of_who_sees_all_teams_is_the_first_and_keeps_its_team(database, board):
    first, second = make_incident(database, "dev-2", "wijk:WK2"), make_incident(database)
    database.execute("update mobeye.incident set team = null, areas = '{}', priority = 1 where incident_id = %s", second)
    database.execute("insert into mobeye.person values ('baas', 'Baas', 'noord', true)")
    for person, number, team in (("regie", second, None), ("baas", first, "zuid")):
        status, answer = board.ask(person, "/api/next", "POST", {})
        assert (status, answer["incident"]["incident_id"], answer["incident"]["team"]) == (200, number, team)
    assert board.act("regie", second, "release", officer="regie")[0] == 200
    assert [i["incident_id"] for i in board.ask("zuider")[1]["incidents"]] == [first, second][::-1]


def test_the_next_is_taken_where_there_are_no_teams(database, board):
    number = make_incident(database)
    database.execute("""
        update mobeye.incident set team = null; update mobeye.placement set team = null; delete from mobeye.team_area;
        delete from mobeye.person where team is not null; delete from mobeye.team""")
    database.execute("insert into mobeye.person values ('leeg', 'Leeg', null, false)")
    assert board.ask("leeg", "/api/next", "POST", {})[0] == 422
    status, answer = board.ask("regie", "/api/next", "POST", {})
    assert (status, answer["incident"]["incident_id"], answer["incident"]["team"]) == (200, number, None)


def test_a_note_that_is_blank_is_left_out(database, board):
    number = make_incident(database)
    for note in (" ", "\n", " \t\r\n"):
        for action, more in (("claim", {}), ("release", {}), ("close", {"outcome": "no_trace"})):
            status, answer = board.act("jansen", number, action, note=note, **more)
            assert status == 200, (action, note, answer)
        status, answer = board.act("jansen", number, "reopen", note=note)
        assert status == 422 and "note" in answer["message"], (note, answer)
        assert board.act("jansen", number, "reopen", note="toch niet")[0] == 200
    assert {h["note"] for h in history_of(board, number) if h["action"] == "note"} == set()


def test_a_note_goes_with_what_takes_the_incident_out_of_sight(database, board):
    number = make_incident(database)
    database.execute("update mobeye.incident set team = null, areas = '{}' where incident_id = %s", number)
    status, answer = board.act("jansen", number, "assign", officer="zuider", note="graag overnemen")
    assert (status, answer["incident"]) == (200, None), answer
    assert [(h["action"], h["note"]) for h in history_of(board, number, "zuider")][:2] == [("status", None), ("note", "graag overnemen")]
    assert board.act("jansen", number, "note", note="en nog iets")[0] == 404


def test_to_open_takes_a_reason_and_nothing_else(database, board):
    number = make_incident(database)
    for body in ({"note": "verdachte auto"}, {"expected_status": "closed"}, {"expected_change": 1}):
        status, answer = board.act("jansen", number, "open", **body)
        assert status == 422 and f'"{next(iter(body))}"' in answer["message"] and answer["hint"] == "Expected members: reason.", answer
    assert board.act("jansen", number, "open", reason="dienst", note="")[0] == 200


@pytest.mark.parametrize("until", ["{day}T12:00:00", "{day}", "tomorrow", "infinity", "{day} 12:00 Europe/Amsterdam", "{day}T12:00:00-24:00:00", "99:00Z"])
def test_a_time_says_its_offset(database, board, until):
    day = database.value("select to_char(now() + interval '2 days', 'YYYY-MM-DD')")
    body = {"device": "dev-1", "until": until.format(day=day), "reason": "storing"}
    status, answer = board.ask("jansen", "/api/mute", "POST", body)
    assert status == 422 and answer["message"].startswith("until: ") and "+01:00" in answer["hint"], answer
    for good in (f"{day}T12:00:00Z", f"{day}T12:00:00.250+01:00", f"{day} 12:00:00+01", f"{day}t12:00z"):
        status, answer = board.ask("jansen", "/api/mute", "POST", body | {"until": good})
        assert status == 200, (good, answer)


def test_an_incident_is_opened_also_by_who_has_looked_at_an_image_of_it(database, board):
    number = make_incident(database)
    database.execute("select mobeye.premake_partitions()")
    image = database.value("""insert into mobeye.snapshot (image_id, occurred_at, device_id, incident_id, media_type, image)
        values (gen_random_uuid(), now(), 'dev-1', %s, 'image/png', '\\x89504e47') returning image_id::text""", number)
    looks = "select array_agg(image_id is not null order by entry) from mobeye.incident_history where action = 'look'"
    assert board.raw(board.head("bakker", path=f"/api/image/{image}"))[0] == 200
    assert board.ask("bakker", f"/api/incident/{number}")[0] == 200
    assert database.value(looks) == [True, False]
    assert board.ask("bakker", f"/api/incident/{number}")[0] == 200
    assert database.value(looks) == [True, False]


def test_a_secret_place_that_was_coarse_at_the_last_look_is_another_look(database, board):
    number = make_incident(database, "dev-2", "wijk:WK2")
    looks = "select count(*) from mobeye.incident_history where action = 'look'"
    for _ in range(2):
        assert board.ask("regie", f"/api/incident/{number}")[1]["incident"]["address"] is None
    assert database.value(looks) == 1
    assert board.act("regie", number, "claim")[0] == 200
    for _ in range(2):
        assert board.ask("regie", f"/api/incident/{number}")[1]["incident"]["address"] == "Geheim 2"
    assert database.value(looks) == 2


def test_what_is_closed_is_not_claimed_though_the_person_had_it(database, board):
    number = make_incident(database)
    for action, more in (("claim", {}), ("close", {"outcome": "no_trace"})):
        assert board.act("jansen", number, action, **more)[0] == 200
    status, answer = board.act("jansen", number, "claim")
    assert status == 409 and "closed" in answer["message"] and "reopen" in answer["hint"] and answer["status"] == "closed"


def test_a_hangup_ends_nothing_and_says_what_to_do(board):
    board.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any("SIGHUP" in line and "restart" in line for line in board.log), "the board says that it reloads nothing")
    assert board.ask("jansen")[0] == 200
