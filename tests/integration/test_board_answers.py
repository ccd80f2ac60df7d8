"""The board: what it refuses, shortens and finds where the database knows more than the screen."""
from harness.board import make_incident


def move(database, device, team="noord"):
    """To another home, a minute ago."""
    database.execute("update mobeye.placement set during = tstzrange(lower(during), now() - interval '1 minute') where device_id = %s", device)
    database.execute("insert into mobeye.placement (device_id, during, geom, address, team) values"
                     " (%s, tstzrange(now() - interval '1 minute', null), 'SRID=4326;POINT(5.3605 52.1505)', 'Ander huis 1', %s)", device, team)


def test_of_an_incident_no_other_home_is_muted(database, board):
    number = make_incident(database)
    wanted = {"device": "dev-1", "incident_id": number, "until": database.value("select (now() + interval '1 hour')::text"), "reason": "storing"}
    status, done = board.ask("jansen", "/api/mute", "POST", wanted)
    assert status == 200, done
    assert board.ask("jansen")[1]["incidents"] == []
    assert board.ask("jansen", "/api/unmute", "POST", done)[0] == 200
    assert board.ask("jansen", "/api/mute", "POST", {**wanted, "device": "dev-2"})[0] == 404  # a secret home of another team
    assert board.ask("zuider", "/api/mute", "POST", wanted)[0] == 404
    status, answer = board.ask("jansen", "/api/mute", "POST", {**wanted, "layer": "wijk", "code": "WK1"})
    assert status == 422 and answer["message"].startswith("mute: more than one of"), answer
    move(database, "dev-1")
    status, answer = board.ask("jansen", "/api/mute", "POST", wanted)
    assert (status, answer["code"], answer["status"]) == (409, "55000", "new") and "does not stand where" in answer["message"], answer
    assert database.value("select count(*) from mobeye.mute where ended_at is null") == 0
    assert database.value("select count(*) from mobeye.incident_history where action = 'mute'") == 2
    assert board.ask("jansen", "/api/mute", "POST", {**wanted, "incident_id": None})[0] == 200, "the device, wherever it is"


def test_large_payloads_are_sent_of_the_latest_alerts_alone(database, board):
    number = make_incident(database)
    database.execute("select mobeye.premake_partitions()")
    database.execute("update mobeye.incident set first_seen = now() - interval '1 hour', last_seen = now() where incident_id = %s", number)
    database.execute("""insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill,
        source, event_id, device_id, payload, team, incident_id)
        select 0, 2, 0, 0, now() - n * interval '1 second', now(), 100 - n, 1, 0, false, '/v', n, 'dev-1',
               json_build_object('data', json_build_object('text', repeat('x', 60000))), 'noord', %s from generate_series(1, 40) as n""", number)

    def shown(detail):
        return [a["payload"] is not None for a in detail["alerts"]]

    for _ in range(2):  # the first is a look
        assert shown(board.ask("jansen", f"/api/incident/{number}")[1]) == 23 * [False] + 17 * [True]
    assert shown(board.act("jansen", number, "claim")[1]) == 23 * [False] + 17 * [True]
    assert database.value("select count(*) from patrol.open_incident(%s, 'x') o, jsonb_array_elements(o.alerts) a"
                          " where a -> 'payload' <> 'null'", number) == 40
    assert len(board.ask("jansen")[1]["incidents"][0]["text"]) == 500 and board.ask("jansen")[1]["incidents"][0]["text"].endswith("x…")


def test_what_was_closed_is_found_by_the_name_of_an_officer_and_by_words(database, board):
    number = make_incident(database)
    board.act("jansen", number, "claim")
    board.act("jansen", number, "close", outcome="false_alarm")
    database.execute("update mobeye.person set name = 'A. de Vries' where login = 'jansen'")

    def found(person, query):
        return [i["incident_id"] for i in board.ask(person, "/api/closed?q=" + query)[1]["incidents"]]

    for query in ("false%20alarm", "de%20vries", "vals&words=drill,false_alarm", "beweging&words=motion"):
        assert found("bakker", query) == [number], query
    assert found("bakker", "vals&words=drill,intrusion") == found("bakker", "vals&words=") == []
    assert found("regie", "de%20vries") == [number] and found("zuider", "de%20vries") == []
