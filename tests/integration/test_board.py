"""The board: its JSON, who the person is, what others did first, and the changes as they happen."""
import getpass
import json
import re
import socket
import subprocess
from datetime import datetime

from harness.board import PEOPLE, Board, Page, make_incident, read_answer
from harness.paths import BOARD
from harness.wait import wait_until


def test_the_queue_and_an_incident_are_those_of_the_person(database, board):
    ours, theirs = make_incident(database), make_incident(database, "dev-2", "wijk:WK2")
    status, queue = board.ask("jansen")
    assert (status, [i["incident_id"] for i in queue["incidents"]]) == (200, [ours])
    assert queue["incidents"][0]["address"] == "Dorpsstraat 1"
    assert queue["change_id"] == database.value("select max(change_id) from patrol.changes")
    assert [i["incident_id"] for i in board.ask("zuider")[1]["incidents"]] == [theirs]
    status, detail = board.ask("jansen", f"/api/incident/{ours}")
    assert status == 200 and detail["incident"]["instructions"] == "bel aan" and detail["images"] == []
    assert [h["action"] for h in detail["history"]] == ["look"]
    assert [h["action"] for h in board.ask("jansen", f"/api/incident/{ours}")[1]["history"]] == ["look"]
    status, answer = board.ask("jansen", f"/api/incident/{theirs}")
    assert status == 404 and answer["message"] and answer["hint"]
    everything = board.ask("regie")[1]["incidents"]
    assert {i["incident_id"]: i["address"] for i in everything} == {ours: "Dorpsstraat 1", theirs: None}


def test_an_incident_is_worked_from_claim_to_close_and_opened_again(database, board):
    number = make_incident(database)
    for action, body, expected in (("claim", {"expected_status": "new"}, "assigned"), ("on_scene", {}, "on_scene"),
                                   ("assign", {"officer": "jansen"}, "assigned"), ("release", {}, "acknowledged"),
                                   ("note", {"note": "niemand thuis"}, "acknowledged"), ("verify", {}, "acknowledged"),
                                   ("close", {"outcome": "no_trace", "note": "rustig"}, "closed"),
                                   ("reopen", {"note": "toch niet"}, "reopened"), ("acknowledge", {}, "acknowledged")):
        status, answer = board.act("jansen", number, action, **body)
        assert (status, answer["incident"]["status"]) == (200, expected), (action, answer)
    assert {"status", "note", "verified"} <= {h["action"] for h in answer["history"]}
    assert {h["actor"] for h in answer["history"]} == {"jansen"} and {h["via"] for h in answer["history"]} == {"mobeye_board"}


def test_what_somebody_else_did_first_is_shown(database, board):
    number = make_incident(database)
    assert board.act("bakker", number, "claim", expected_status="new")[0] == 200
    for status, answer in (board.act("jansen", number, "claim", expected_status="new"), board.act("jansen", number, "claim")):
        assert status == 409
        assert (answer["status"], answer["by"], answer["alert_count"]) == ("assigned", "bakker", 1)
        assert answer["at"] and answer["message"] and answer["hint"]


def test_a_release_is_of_the_officer_who_is_shown(database, board):
    number = make_incident(database)
    board.act("jansen", number, "claim")
    board.act("bakker", number, "assign", officer="bakker")
    status, answer = board.act("jansen", number, "release", expected_status="assigned", officer="jansen")
    assert (status, answer["assigned_to"]) == (409, "bakker")
    assert board.act("jansen", number, "release", expected_status="assigned", officer="bakker")[0] == 200


def test_a_person_sees_what_their_login_may(database, board):
    alarm, service = make_incident(database), make_incident(database, category="service")
    database.execute("create role ana login in role mobeye_analyst; create role reg login in role mobeye_registry;"
                     "insert into mobeye.person values ('ana', 'Ana', 'noord', false), ('reg', 'Reg', 'noord', false)")
    try:
        for path in ("/api/queue", "/api/map?west=5&south=52&east=6&north=53", f"/api/incident/{alarm}", "/api/equipment"):
            assert board.ask("ana", path)[0] == 403, path
        assert board.ask("reg", "/api/map?west=5&south=52&east=6&north=53")[0] == 403
        page = Page(board, "reg", after=0)
        ((_, change),) = page.wait("change")
        assert change["incident_id"] == service
        page.close()
    finally:
        database.execute("drop role ana; drop role reg")


def test_an_officer_who_is_an_auditor_too_gives_a_reason(database, board):
    ours, theirs = make_incident(database), make_incident(database, "dev-2", "wijk:WK2")
    database.execute("create role bea login in role mobeye_patrol, mobeye_auditor; insert into mobeye.person values ('bea', 'Bea', 'noord', false)")
    try:
        for number in (ours, theirs):
            status, detail = board.ask("bea", f"/api/incident/{number}")
            assert (status, detail["reason_required"], detail["incident"]["address"], detail["alerts"]) == (200, True, None, [])
            assert board.act("bea", number, "open", reason=" ")[0] == 422
        opened = board.act("bea", theirs, "open", reason="klacht 12")[1]
        assert (opened["reason_required"], opened["incident"]["address"]) == (False, "Geheim 2")
        assert board.act("bea", theirs, "acknowledge")[0] == 404
        assert board.act("bea", ours, "claim")[0] == 200
    finally:
        database.execute("drop role bea")


def test_an_incident_is_given_to_a_person_who_sees_it_or_to_a_patrol(database, board):
    number = make_incident(database)
    database.execute("insert into mobeye.person values ('leeg', 'Leeg', null, false)")
    for officer, hint in (("jnsen", "jansen"), ("Jansen", "jansen"), ("bakekr", "bakker"), ("bakkers", "bakker"), ("leeg", "no team")):
        for status, answer in (board.act("jansen", number, "assign", officer=officer),
                               board.ask("jansen", "/api/next", "POST", {"officer": officer})):
            assert status == 422 and officer in answer["message"] and hint in answer["hint"], (officer, answer)
    for officer, patrol in (("wagen 12", True), ("bakker", False), ("niemand", True), ("jansen", False)):
        status, answer = board.act("jansen", number, "assign", officer=officer)
        assert (status, answer["incident"]["assigned_to"], answer["incident"]["assigned_to_patrol"]) == (200, officer, patrol)
    assert board.ask("jansen")[1]["incidents"][0]["assigned_to_patrol"] is False


def test_the_queue_is_the_rows_of_the_view_in_their_order(database, board):
    for priority in (3, 1, 2):
        number = make_incident(database)
        database.execute("update mobeye.incident set priority = %s where incident_id = %s", priority, number)
    text = 'met "crs":{"type":"name","properties":{"name":"EPSG:4326"}}, \\ en \n'
    database.execute("update mobeye.placement set address = %s where device_id = 'dev-1'", text)
    queue = board.ask("regie")[1]
    rows = database.value("select jsonb_agg(to_jsonb(q) #- '{geom,crs}' order by q.place) from patrol.queue q")
    assert queue["incidents"] == rows and [row["priority"] for row in rows] == [1, 2, 3] and rows[0]["address"] == text
    database.execute("delete from mobeye.incident")
    assert board.ask("regie")[1] == {"change_id": queue["change_id"], "incidents": []}


def test_what_an_action_does_not_take_is_named(database, board):
    number = make_incident(database)
    for action, body, unknown, known in (
            ("close", {"outcome": "no_trace", "nota": "x"}, '"nota"', "outcome, note, expected_status, expected_change"),
            ("assign", {"login": "jansen"}, '"login"', "officer, note, expected_status"),
            ("acknowledge", {"outcome": "drill", "a": 1}, '"a", "outcome"', "note, expected_status, expected_change"),
            ("claim", {"reason": "ik ga"}, '"reason"', "officer")):
        status, answer = board.act("jansen", number, action, **body)
        assert status == 422 and unknown in answer["message"] and known in answer["hint"], (action, answer)
    for path, body, unknown in (("next", {"teams": "noord"}, '"teams"'), ("unmute", {"id": 1}, '"id"'),
                                ("mute", {"device": "dev-1", "for": "1h"}, '"for"')):
        status, answer = board.ask("jansen", f"/api/{path}", "POST", body)
        assert status == 422 and unknown in answer["message"], (path, answer)
    assert database.value("select status from patrol.incidents") == "new"
    every = dict.fromkeys(("expected_change", "outcome", "officer", "reason")) | {"outcome": ""}  # null and "" are as left out
    status, answer = board.act("jansen", number, "claim", **{**every, "expected_status": "new", "officer": "jansen", "note": "ik ga"})
    assert (status, [h["note"] for h in answer["history"]][-1]) == (200, "ik ga")


def test_a_claim_of_what_is_the_persons_already_says_so(database, board):
    number = make_incident(database)
    board.act("jansen", number, "claim")
    status, answer = board.act("jansen", number, "claim")
    assert status == 409 and "already assigned to you" in answer["message"] and "nothing to do" in answer["hint"].lower()
    answer = board.act("bakker", number, "claim")[1]
    assert "already assigned to jansen" in answer["message"]


def incident_of_camera(database, device, area, payload):
    """One with an alert."""
    number = make_incident(database, device, area)
    database.execute("select mobeye.premake_partitions(); "
                     "insert into mobeye.alert_origin (origin, instance, endpoint) values (1, 'x', 'x') on conflict do nothing")
    database.execute("insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill, device_id,"
                     " source, event_id, incident_id, payload) select 1, 10, 0, 0, last_seen, last_seen, 1, 1, 0, false, %s, 'x', %s, incident_id, %s"
                     " from mobeye.incident where incident_id = %s", device, device, json.dumps(payload), number)
    return number


def test_an_incident_has_the_names_of_the_views(database, board):
    columns = {row[0] for row in database.rows(
        "select attname from pg_attribute where attrelid = 'patrol.alerts'::regclass and attnum > 0")}
    for who, seen in (("jansen", "dev-1"), ("regie", "dev-1"), ("regie", None)):
        number = incident_of_camera(database, seen or "dev-2", "wijk:WK1" if seen else "wijk:WK2", {})
        detail = board.ask(who, f"/api/incident/{number}")[1]
        (alert,), history = detail["alerts"], detail["history"]
        assert columns <= set(alert), columns - set(alert)
        assert (alert["device_id"], alert["incident_id"]) == (seen, number)
        assert {entry["incident_id"] for entry in history} == {number}
        database.execute("delete from mobeye.alert; delete from mobeye.incident")


def test_what_a_camera_recognised_is_shown_where_the_place_is(database, board):
    said = {"camera": {"label": "person", "score": 0.87, "camera_zone": "oprit", "plate": "12-AB-3", "box": [0, 0, 1, 1]}}
    for device, area in (("dev-1", "wijk:WK1"), ("dev-2", "wijk:WK2")):
        incident_of_camera(database, device, area, {"data": said})
    expected = {"label": "person", "score": 0.87, "camera_zone": "oprit"}
    assert [i["camera"] for i in board.ask("jansen")[1]["incidents"]] == [expected]
    assert sorted((i["camera"] is None) for i in board.ask("regie")[1]["incidents"]) == [False, True], "not of a secret place"


def test_a_panic_that_joined_after_the_screen_refuses_the_close(database, board):
    number = make_incident(database)
    seen = board.ask("jansen")[1]["change_id"]
    database.execute("select mobeye.add_change(%s, 'alert')", number)
    database.execute("update mobeye.change set urgent = true where op = 'alert'; select patrol.number_changes()")
    status, answer = board.act("jansen", number, "close", outcome="no_trace", expected_change=seen)
    assert (status, answer["code"]) == (409, "MB001")
    latest = database.value("select max(change_id) from mobeye.change")
    assert board.act("jansen", number, "close", outcome="no_trace", expected_change=latest)[0] == 200


def test_the_time_of_a_conflict_is_that_of_what_was_first(database, board):
    number = make_incident(database)
    seen = board.ask("jansen")[1]["change_id"]
    board.act("bakker", number, "claim")
    for op, urgent in (("alert", True), ("verified", False)):
        database.execute("select mobeye.add_change(%s, %s)", number, op)
        database.execute("update mobeye.change set urgent = %s where op = %s", urgent, op)
        if op == "verified":
            database.execute("select mobeye.add_history(%s, 'verified', 'second_input', actor => 'mobeyed')", number)
        claimed = database.value("select at from mobeye.incident_history where action = 'status'")
        joined = database.value("select at from mobeye.change order by entry desc limit 1")
        status, answer = board.act("jansen", number, "claim", expected_status="new")
        assert (status, answer["by"], datetime.fromisoformat(answer["at"])) == (409, "bakker", claimed), op
        status, answer = board.act("bakker", number, "close", outcome="no_trace", expected_change=seen)
        by = "mobeyed" if op == "verified" else None
        assert (status, answer["by"], datetime.fromisoformat(answer["at"])) == (409, by, joined), op


def test_what_is_invalid_is_refused_with_a_hint(database, board):
    number = make_incident(database)
    for action, body in (("close", {}), ("close", {"outcome": "x"}), ("reopen", {}), ("assign", {}), ("note", {"note": "  "}),
                         ("claim", {"expected_status": "nieuw"}), ("claim", {"expected_change": "x"}), ("assign", {"officer": ["jan"]})):
        status, answer = board.act("jansen", number, action, **body)
        assert status in (422, 409) and answer["message"], (action, body, status, answer)
    assert board.act("jansen", number, "close", outcome="x")[0] == 422
    for body in (b"{", b"[1]", b'"x"', b'{"note": "\\u0000"}', b"\xff\xfe"):
        status, fields, answer = board.raw(board.head("jansen", "POST", f"/api/incident/{number}/note", body=body))
        assert status == 422 and json.loads(answer)["message"], (body, answer)
    assert board.ask("jansen", "/api/nothing")[0] == 404
    assert board.ask("jansen", f"/api/incident/{number}/destroy", "POST", {})[0] == 404
    assert board.ask("jansen", "/api/queue", "POST", {})[0] == 405
    for path, subject in (("/api/map?west=x&south=1&east=2&north=3", 'west: "x" is not a number'), ("/api/areas?west=1", "south: is missing")):
        status, answer = board.ask("jansen", path)
        assert status == 422 and answer["message"] == subject and answer["hint"]


def test_a_mistake_in_a_body_is_told_in_words(database, board):
    number = make_incident(database)
    until = {"device": "dev-1", "reason": "x", "until": "morgen"}
    for path, body, subject in (
            ("mute", until, 'until: "morgen" is not a time'), ("mute", {**until, "until": None}, "mute: the end is missing"),
            ("mute", {"until": "2030-01-01T00:00Z", "reason": "x"}, "mute: none of"), ("mute", {**until, "layer": "wijk"}, 'until: "morgen"'),
            ("unmute", {"mute_id": "x"}, 'mute_id: "x" is not a number'), ("unmute", {}, "unmute: mute_id is missing"),
            (f"incident/{number}/close", {}, "outcome is missing"), (f"incident/{number}/close", {"outcome": "x"}, 'outcome "x" is not valid'),
            (f"incident/{number}/note", {"note": "x", "expected_change": "y"}, 'expected_change: "y" is not a number')):
        status, answer = board.ask("jansen", f"/api/{path}", "POST", body)
        assert (status, answer["message"][:len(subject)]) == (422, subject) and answer["hint"], answer
    for body in (b"{", b'{"note": }', b'{"note": "\\u0000"}', b"[" * 60000):
        status, _, answer = board.raw(board.head("jansen", "POST", f"/api/incident/{number}/note", body=body))
        answer = json.loads(answer)
        assert status == 422 and answer["message"].startswith("the body is not valid JSON") and answer["hint"], answer
    status, answer = board.ask("niemand")
    assert (status, answer["message"]) == (403, '"niemand" is not a registered person') and "people import" in answer["hint"]


def test_the_next_is_taken_once_and_then_there_is_none(database, board):
    number = make_incident(database)
    status, answer = board.ask("jansen", "/api/next", "POST", {})
    assert (status, answer["incident"]["incident_id"], answer["incident"]["assigned_to"]) == (200, number, "jansen")
    status, answer = board.ask("bakker", "/api/next", "POST", {})
    assert (status, answer["incident"]) == (200, None)


def test_the_map_equipment_closed_incidents_and_mutes(database, board):
    number = make_incident(database)
    box = "?west=5&south=52&east=6&north=53"
    assert [f["id"] for f in board.ask("jansen", "/api/map" + box)[1]["features"]] == [number]
    assert board.ask("jansen", "/api/areas" + box)[1]["type"] == "FeatureCollection"
    more_than_a_year = database.value("select (now() + interval '400 days')::text")
    assert board.ask("jansen", "/api/mute", "POST", {"device": "dev-1", "until": more_than_a_year, "reason": "x"})[0] == 422
    until = database.value("select (now() + interval '1 hour')::text")
    status, mute = board.ask("jansen", "/api/mute", "POST", {"device": "dev-1", "until": until, "reason": "storing"})
    assert status == 200
    assert board.ask("jansen")[1]["incidents"] == []
    equipment = board.ask("jansen", "/api/equipment")[1]
    assert [d["device_id"] for d in equipment["devices"]] == ["dev-1"] and equipment["counts"]["muted"] == 1
    assert [m["mute_id"] for m in equipment["mutes"]] == [mute["mute_id"]]
    assert board.ask("jansen", "/api/unmute", "POST", mute)[0] == 200
    assert [i["incident_id"] for i in board.ask("jansen")[1]["incidents"]] == [number]
    board.act("jansen", number, "close", outcome="false_alarm")
    for query in ("", "?q=dorps", "?q=FALSE_alarm"):
        assert [i["incident_id"] for i in board.ask("jansen", "/api/closed" + query)[1]["incidents"]] == [number]
    assert board.ask("jansen", "/api/closed?q=%25")[1]["incidents"] == []
    assert board.ask("jansen", "/api/equipment")[1]["devices"] == []
    board.act("jansen", make_incident(database), "close", outcome="false_alarm")
    (device,) = board.ask("jansen", "/api/equipment")[1]["devices"]
    assert (device["device_id"], device["card"]) == ("dev-1", "yellow")
    assert device["card_until"] > database.value("select to_char(now() + interval '2 months', 'YYYY-MM-DD')")
    board.act("jansen", make_incident(database), "close", outcome="false_alarm")
    assert [d["card"] for d in board.ask("jansen", "/api/equipment?q=dev")[1]["devices"]] == ["red"]
    me = board.ask("jansen", "/api/me")[1]
    assert (me["login"], me["team"], me["language"], me["tiles"], me["officer"]) == ("jansen", "noord", "nl", None, True)
    assert [o["login"] for o in me["officers"]] == ["bakker", "jansen"]


def test_an_image_is_shown_and_the_look_is_recorded(database, board):
    number = make_incident(database)
    database.execute("select mobeye.premake_partitions()")
    image = database.value("""insert into mobeye.snapshot (image_id, occurred_at, device_id, incident_id, media_type, image)
        values (gen_random_uuid(), now(), 'dev-1', %s, 'image/png', '\\x89504e47') returning image_id::text""", number)
    assert [i["image_id"] for i in board.ask("jansen", f"/api/incident/{number}")[1]["images"]] == [image]
    status, fields, body = board.raw(board.head("jansen", path=f"/api/image/{image}?reason=kijken"))
    assert (status, fields["content-type"], fields["cache-control"], body) == (200, "image/png", "no-store", b"\x89PNG")
    assert board.raw(board.head("zuider", path=f"/api/image/{image}"))[0] == 404
    assert board.raw(board.head("jansen", path="/api/image/x"))[0] == 422
    assert database.value("select count(*) from patrol.incident_history where note = 'kijken' and actor = 'jansen'") == 1


def test_pages_are_files_of_the_program_with_their_headers(board):
    for path in ("/", "/incident/17", "/equipment", "/closed", "/wall"):
        status, fields, body = board.raw(board.head("jansen", path=path))
        assert status == 200 and fields["content-type"] == "text/html; charset=utf-8" and body
        policy = fields["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert (fields["x-content-type-options"], fields["referrer-policy"]) == ("nosniff", "no-referrer")
        again = board.raw(board.head("jansen", path=path, headers=[f"If-None-Match: {fields['etag']}"]))
        assert again[0] == 304 and again[2] == b""
    assert board.raw(board.head("niemand", path="/"))[0] == 403
    assert board.raw(board.head("niemand", path="/api/changes"))[0] == 403
    assert board.raw(board.head("jansen", path="/incident/x"))[0] == 404
    assert board.raw(board.head("jansen"))[1]["cache-control"] == "no-store"


def test_changes_come_as_events_and_each_page_gets_its_own(database, board):
    pages = {person: Page(board, person) for person in ("jansen", "zuider", "regie")}
    for page in pages.values():
        page.wait("heartbeat")
    ours, theirs = make_incident(database), make_incident(database, "dev-2", "wijk:WK2")
    seen = {person: [event["incident_id"] for _, event in page.wait("change", 2 if person == "regie" else 1)]
            for person, page in pages.items()}
    assert seen == {"jansen": [ours], "zuider": [theirs], "regie": [ours, theirs]}
    board.act("jansen", ours, "claim")
    (_, new), (number, claimed) = pages["jansen"].wait("change", 2)
    assert (new["op"], claimed["op"], claimed["status"], claimed["change_id"]) == ("new", "status", "assigned", number)


def test_nothing_is_missed_over_any_interruption(cluster, database, tmp_path):
    database.execute(PEOPLE)
    board = Board(database, tmp_path).start()
    incident = make_incident(database)
    page = Page(board, "jansen", after=0)
    last = page.wait("change")[-1][0]
    for interruption in ("page", "board", "database"):
        if interruption == "database":
            cluster.stop()
            cluster.start()
        else:
            page.close()
        if interruption == "board":
            board.process.kill()
            board.process.wait()
            board.log.clear()
        for _ in range(3):
            database.execute("select mobeye.add_change(%s, 'note')", incident)
        database.execute("select patrol.number_changes()")
        if interruption == "board":
            board.start()
        if interruption != "database":
            page = Page(board, "jansen", last=last)
        else:
            got = page.wait("change", 6)
        numbers = [number for number, _ in page.wait("change", 3)]
        end = database.value("select max(change_id) from patrol.changes")
        wait_until(lambda: page.events()[-1][0] == end, "the last change")
        numbers = [number for number, _ in page.events() if number > last]
        assert numbers == list(range(last + 1, end + 1))
        last = end
    board.stop()


def test_what_is_no_longer_kept_is_a_reset(database, board):
    make_incident(database)
    end = database.value("select max(change_id) from patrol.changes")
    page = Page(board, "jansen", after=end + 1000)
    assert page.wait("reset") == [(end, {"change_id": end})]
    make_incident(database)
    assert page.wait("change")[0][0] == end + 1


def test_a_person_who_is_removed_gets_nothing_more(database, board):
    page = Page(board, "bakker")
    page.wait("heartbeat")
    database.execute("delete from mobeye.person where login = 'bakker'")
    wait_until(lambda: page.closed or page.text.endswith("0\r\n\r\n"), "the stream ends")
    assert board.ask("bakker")[0] == 403


def test_while_the_database_is_down_pages_are_served_and_say_so(cluster, database, tmp_path):
    database.execute(PEOPLE)
    board = Board(database, tmp_path).start()
    cluster.stop()
    wait_until(lambda: board.metric("database_connections") == 0, "the connections are lost")
    assert board.ask("jansen")[0] == 503
    assert board.raw(board.head("jansen", path="/"))[0] == 200
    cluster.start()
    wait_until(lambda: board.ask("jansen")[0] == 200, "the board answers again")
    board.stop()


def test_what_waits_is_dropped_when_its_client_leaves(cluster, database, tmp_path):
    database.execute(PEOPLE)
    board = Board(database, tmp_path, unix=True, user=getpass.getuser()).start()
    number = make_incident(database)
    cluster.freeze()
    try:
        peers = [board.connect() for _ in range(3)]
        for n, peer in enumerate(peers):
            body = json.dumps({"note": f"vertrokken {n}"}).encode()
            peer.sendall(board.head("jansen", "POST", f"/api/incident/{number}/note", body=body))
        wait_until(lambda: board.metric("calls_waiting") == 1, "one waits for the two connections")
        for peer in peers:
            peer.close()
    finally:
        cluster.thaw()
    assert board.act("jansen", number, "note", note="daarna")[0] == 200
    wait_until(lambda: board.metric("connections") == 0, "all are answered or dropped")
    assert database.value("select count(*) from mobeye.incident_history where note like 'vertrokken%'") == 2
    board.stop()


def test_a_client_that_closes_its_side_gets_an_answer(cluster, database, tmp_path):
    database.execute(PEOPLE)
    board = Board(database, tmp_path).start()
    number = make_incident(database)
    cluster.freeze()
    try:
        peers = [board.connect() for _ in range(3)]
        for n, peer in enumerate(peers):
            body = json.dumps({"note": f"half {n}"}).encode()
            peer.sendall(board.head("jansen", "POST", f"/api/incident/{number}/note", body=body))
            peer.shutdown(socket.SHUT_WR)
        wait_until(lambda: board.metric("calls_waiting") == 1, "one waits for the two connections")
    finally:
        cluster.thaw()
    answers = [read_answer(peer) for peer in peers]
    assert [status for status, _, _ in answers] == [200, 200, 503]
    assert "Nothing was done" in json.loads(answers[2][2])["hint"]
    assert database.value("select count(*) from mobeye.incident_history where note like 'half%'") == 2
    board.stop()


def test_what_is_not_committed_is_not_answered_as_done(database, board):
    number = make_incident(database)
    database.execute("""
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
        create constraint trigger refuse after insert on mobeye.incident_history deferrable initially deferred
            for each row when (new.action = 'note') execute function refuse()""")
    status, answer = board.act("jansen", number, "note", note="x")
    assert status == 503 and answer["message"] and database.value("select count(*) from mobeye.incident_history") == 0
    assert board.act("jansen", number, "claim")[0] == 200


def test_the_head_of_the_changes_is_that_of_a_stream(board):
    with board.connect() as peer:
        peer.sendall(board.head("jansen", "HEAD", "/api/changes"))
        status, fields, _ = read_answer(peer, method="HEAD")
        assert (status, fields["content-type"]) == (200, "text/event-stream; charset=utf-8")
        peer.sendall(board.head("jansen", "HEAD", "/api/queue"))
        assert read_answer(peer, method="HEAD")[0] == 200
        peer.sendall(board.head("niemand", "HEAD", "/api/changes"))
        assert read_answer(peer, method="HEAD")[0] == 403
    assert board.metric("streams") == 0


def test_a_database_without_the_schema_is_told(database, tmp_path):
    database.execute(PEOPLE)
    database.execute("alter schema patrol rename to elsewhere")
    board = Board(database, tmp_path).start(ready=False)
    wait_until(lambda: any("mobeyectl migrate" in line for line in board.log), "the reason is logged")
    assert board.ask("jansen")[0] == 503 and board.metric("database_connections") == 0
    database.execute("alter schema elsewhere rename to patrol")
    wait_until(lambda: board.ask("jansen")[0] == 200, "the schema is found")
    Page(board, "jansen").wait("heartbeat")
    board.stop()


def test_a_trial_by_somebody_who_is_not_registered_is_told(database, board):
    board.stop()
    board.file.write_text(re.sub("identity: .*", "identity: {fixed: jnsen}", board.file.read_text()))
    board.start()
    wait_until(lambda: any('"jnsen" is not a registered person' in line for line in board.log), "the log says so")
    assert any(f"is ready on http://127.0.0.1:{board.port}" in line for line in board.log)


def test_a_configuration_is_checked_with_line_and_column(tmp_path):
    file = tmp_path / "b.yaml"
    file.write_text('listen: "0.0.0.0:80"\nlisten_at: x\ndatabase: {conninfo: "user=x", connection: 4}\n'
                    "identity: {header: X_User, fixed: x}\nlanguage: de\n")
    done = subprocess.run([BOARD, "-c", file, "--check"], capture_output=True, text=True)
    assert done.returncode == 2
    places = [line.split(": ")[0].removeprefix(f"{file}:") + " " + line.split(": ")[1] for line in done.stderr.splitlines()]
    assert places == ["1:9 listen", "2:1 listen_at", "3:32 database.connection", "4:20 identity.header", "4:20 identity.header",
                      "4:35 identity.fixed", "5:11 language"], done.stderr
    assert "did you mean connections?" in done.stderr
    file.write_text('listen: "127.0.0.1:8080"\ndatabase: {conninfo: "user=x"}\nidentity: {fixed: jansen}\n')
    done = subprocess.run([BOARD, "-c", file, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: valid\n", "")


def test_a_trial_is_open_to_this_machine_and_to_no_name_that_another_site_can_give_it(database, board):
    """DNS rebinding: a page of evil.example, whose address has become 127.0.0.1."""
    board.stop()
    board.file.write_text(re.sub("identity: .*", "identity: {fixed: jansen}", board.file.read_text()))
    board.log.clear()
    board.start()
    for host, expected in {"evil.example": 403, "evil.example:80": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
                           "127.0.0.1": 200, f"localhost:{board.port}": 200, "LOCALHOST": 200, "[::1]:80": 200, "wachtcommandant": 200}.items():
        answer = board.raw(f"GET /api/queue HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\r\n".encode())
        assert answer[0] == expected, host
