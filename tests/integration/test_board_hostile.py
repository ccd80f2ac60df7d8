"""The board and deceptive peers: who is believed, which bytes are refused, and what a bad peer costs the others."""
import http.client
import json
import os
import pathlib
import resource
import socket
import subprocess

import psycopg
import pytest

from harness.board import PEOPLE, SECRET, Board, Page, make_incident, read_answer
from harness.wait import wait_until


def request(*headers, line="GET /api/queue HTTP/1.1", host="Host: board", secret=f"X-Proxy-Secret: {SECRET}", end="\r\n", body=""):
    return (end.join([line, *filter(None, [host, secret]), *headers, "", ""]) + body).encode("latin-1")


def status(board, data):
    """Of the answer; the connection must then be closed where it was refused."""
    return board.raw(data)[0]


JANSEN = "X-Remote-User: jansen"


@pytest.fixture(scope="module")
def board_of_module(shared_cluster, tmp_path_factory):
    """For requests that change nothing, whatever the answer is."""
    database = shared_cluster.database()
    database.execute(PEOPLE)
    running = Board(database, tmp_path_factory.mktemp("board")).start()
    yield running
    running.stop()
    database.drop()


@pytest.mark.parametrize("headers, expected", [
    ((JANSEN,), 200), (("x-REMOTE-user: jansen",), 200), (("X-Remote-User:jansen",), 200), (("X-Remote-User: jansen  ",), 200),
    ((), 401), (("X-Remote-User:",), 401), (("X-Remote-User:   ",), 401),
    ((JANSEN, JANSEN), 401), ((JANSEN, "x-remote-user: zuider"), 401), ((JANSEN, "X-Remote-User:"), 401),
    (("X-Remote_User: jansen",), 400), ((JANSEN, "X_Remote_User: zuider"), 400), ((JANSEN, "A_: b"), 400),
    (("X-Remote-User : jansen",), 400), (("X-Remote-User: jan\tsen",), 403), (("X-Remote-User: niemand",), 403),
    (("X-Remote-User: jansen, zuider",), 403), (("X-Remote-User: ja\0nsen",), 400), (("X-Remote-User: jans\xe9n",), 403), ((JANSEN, " zuider"), 400)])
def test_a_person_is_named_once_and_plainly(board_of_module, headers, expected):
    assert status(board_of_module, request(*headers)) == expected


@pytest.mark.parametrize("secret", [None, "X-Proxy-Secret:", "X-Proxy-Secret: x", f"X-Proxy-Secret: {SECRET}x", f"X-Proxy-Secret: {SECRET[:-1]}",
                                    f"X-Proxy-Secret: {SECRET}\r\nX-Proxy-Secret: {SECRET}"])
def test_without_the_right_secret_nobody_is_believed(board_of_module, secret):
    assert status(board_of_module, request(JANSEN, secret=secret)) == 401
    assert status(board_of_module, request(line="GET /healthz HTTP/1.1", secret=secret)) == 200


def test_a_header_with_an_underscore_is_refused_before_anything_else(board_of_module):
    assert status(board_of_module, request("A_b: c", line="GET /healthz HTTP/1.1", secret=None)) == 400


@pytest.mark.parametrize("data, expected", [
    (request(JANSEN, "Content-Length: 0", "Content-Length: 5"), 400),
    (request(JANSEN, "Content-Length: 5", "Content-Length: 5", body="GET /"), 400),
    (request(JANSEN, "Content-Length: 4", "Transfer-Encoding: chunked", body="0\r\n\r\n"), 400),
    (request(JANSEN, "Transfer-Encoding: chunked", body="0\r\nX-Remote-User: zuider\r\n\r\n"), 400),
    (request(JANSEN, "Transfer-Encoding: xchunked"), 400), (request(JANSEN, "Transfer-Encoding : chunked"), 400),
    (request(JANSEN, "Content-Length: +5", body="12345"), 400), (request(JANSEN, "Content-Length: 0x5", body="12345"), 400),
    (request(JANSEN, "Content-Length: 5, 5", body="12345"), 400), (request(JANSEN, "Content-Length: 1 1", body="1"), 400),
    # evhttp does not read the body of HEAD: it would be the next request, from anyone it claims to be from.
    (request(JANSEN, "Content-Length: 5", line="HEAD /healthz HTTP/1.1", body="GET /"), 400),
    (request(JANSEN, "Content-Length: 5", body="GET /"), 400),
    (request(JANSEN, "Content-Length:"), 400), (request(JANSEN, "Content-Length: -1"), 400),
    (request(JANSEN, "Content-Length: 70000"), 413), (request(JANSEN, "Content-Length: 99999999999999999999999"), 413),
    (request(JANSEN, "A: " + "x" * 20000), 431), (request(JANSEN, *[f"A{i}: b" for i in range(3000)]), 431),
    (request(JANSEN, line="GET /" + "x" * 20000 + " HTTP/1.1"), 431),
    (request(JANSEN, host=None), 400), (request(JANSEN, host="Host: a\r\nHost: b"), 400),
    (request(JANSEN, end="\n"), 400), (request(JANSEN, "A: b\rC: d"), 400), (request(JANSEN, ": b"), 400), (request(JANSEN, "A"), 400),
    (request(JANSEN, line="GET http://board/api/queue HTTP/1.1"), 400), (request(JANSEN, line="GET /api/queue"), 400),
    (request(JANSEN, line="GET //board/api/queue HTTP/1.1"), 400), (request(JANSEN, line="GET //x:99999/ HTTP/1.1"), 400),
    (request(JANSEN, "Expect: foo"), 417),
    (request(JANSEN, "Expect:\t100-continue", "Content-Length: 2", line="POST /api/unmute HTTP/1.1"), 417),
    (request(JANSEN, line="GET  /api/queue HTTP/1.1"), 400), (request(JANSEN, line="GET /api/queue HTTP/2.0"), 505),
    (request(JANSEN, line="PUT /api/queue HTTP/1.1"), 405), (request(JANSEN, "A_b: c", line="PUT /api/queue HTTP/1.1"), 400), (request(JANSEN, line="TRACE / HTTP/1.1"), 405),
    (request(JANSEN, line="CONNECT board:1 HTTP/1.1"), 405), (request(JANSEN, line="get / HTTP/1.1"), 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), (b"\r\n\r\n", 400)])
def test_what_two_servers_could_read_differently_is_refused(board_of_module, data, expected):
    with board_of_module.connect() as peer:
        peer.sendall(data)
        got, headers, _ = read_answer(peer)
        assert got == expected and "default-src 'none'" in headers["content-security-policy"]
        assert peer.recv(1000) == b"", "the connection stays open"


def test_requests_sent_ahead_are_never_read(database, board):
    number = make_incident(database)
    ahead = board.head("jansen", "POST", f"/api/incident/{number}/claim", body=b"{}")
    with board.connect() as peer:
        peer.sendall(board.head("zuider") + ahead)
        got, headers, _ = read_answer(peer)
        assert (got, headers["connection"]) == (200, "close") and peer.recv(1000) == b""
    assert database.value("select status from patrol.incidents where incident_id = %s", number) == "new"


def test_persons_may_change_on_one_connection_and_nothing_stays(database, board):
    ours, theirs = make_incident(database), make_incident(database, "dev-2", "wijk:WK2")
    expected = {"jansen": [ours], "zuider": [theirs], "niemand": None, None: None}
    with board.connect() as peer:
        for person in ["jansen", "zuider", None, "jansen", "niemand", "zuider", "niemand", None, "jansen"] * 5:
            peer.sendall(board.head(person))
            got, _, body = read_answer(peer)
            seen = [i["incident_id"] for i in json.loads(body)["incidents"]] if got == 200 else None
            assert seen == expected[person], person


def test_the_connections_of_the_pool_keep_no_person(database, board):
    board.ask("jansen")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        with psycopg.connect(board.conninfo) as connection:
            assert connection.execute("select status from patrol.incidents").fetchall()
    with psycopg.connect(board.conninfo, autocommit=True) as connection:
        assert connection.execute("select http_status from patrol.board('jansen', 'queue', null, null)").fetchone() == (200,)
        assert connection.execute("select coalesce(current_setting('mobeye.acting_as', true), '')").fetchone() == ("",)
        assert connection.execute("select http_status from patrol.board('', 'queue', null, null)").fetchone() == (403,)
        assert connection.execute("select http_status from patrol.board(null, 'queue', null, null)").fetchone() == (403,)


@pytest.mark.parametrize("headers, expected", [
    ((), 200), (("Sec-Fetch-Site: same-origin", "Origin: https://board"), 200), (("Sec-Fetch-Site: none",), 200),
    (("Origin: https://board",), 200), (("Sec-Fetch-Site: cross-site",), 403), (("Sec-Fetch-Site: same-site",), 403),
    (("Origin: https://elsewhere",), 403), (("Origin: null",), 403), (("Origin: https://board.elsewhere",), 403),
    (("Sec-Fetch-Site: same-origin", "Origin: https://elsewhere"), 403),
    (("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), 403)])
def test_another_site_cannot_make_a_browser_act(database, board, headers, expected):
    make_incident(database)
    got, _, _ = board.raw(board.head("jansen", "POST", "/api/next", headers, b"{}"))
    assert got == expected


def test_on_a_socket_only_the_users_of_the_proxy_are_believed(database, tmp_path):
    database.execute(PEOPLE)
    tmp_path.chmod(0o755)
    us, them = ("root", "www-data") if os.geteuid() == 0 else (subprocess.check_output(["id", "-un"], text=True).strip(), "root")
    for user, expected in ((us, 200), (them, 401)):
        board = Board(database, tmp_path, unix=True, user=user).start()
        assert board.raw(board.head("jansen"))[0] == expected
        assert board.raw(board.head(None, path="/healthz"))[0] == 200
        board.stop(9)  # leaves its socket behind


def test_a_slow_or_silent_peer_holds_up_nobody(board):
    slow = [board.connect() for _ in range(300)]
    for peer in slow:
        peer.sendall(b"GET /api/queue HTTP/1.1\r\nHo")
    assert board.ask("jansen")[0] == 200
    wait_until(lambda: board.metric("connections") < 300, "the slow ones are cut off")
    for peer in slow:
        peer.close()


def test_a_thousand_connections(board):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    peers = [board.connect() for _ in range(1000)]
    for peer in peers:
        peer.sendall(board.head("jansen", path="/healthz"))
    assert {read_answer(peer)[0] for peer in peers} == {200}
    assert board.metric("connections") >= 1000
    for peer in peers:
        peer.close()
    wait_until(lambda: board.metric("connections") < 10, "all are gone")


def test_two_hundred_pages_cost_one_listen_and_few_queries(database, board):
    pages = [Page(board, person) for person in ["jansen", "bakker", "zuider", "regie"] * 50]
    for page in pages:
        page.wait("heartbeat")
    incident = make_incident(database)
    backends = "select count(*) from pg_stat_activity where usename = 'mobeye_board' and datname = current_database()"
    assert database.value(backends) == 3  # two of the pool, and one that listens
    named = "select array_agg(distinct application_name order by application_name) from pg_stat_activity where usename = 'mobeye_board'"
    assert database.value(named + " and datname = current_database()") == ["mobeye-board", "mobeye-board changes"]
    for page, person in zip(pages, ["jansen", "bakker", "zuider", "regie"] * 50):
        if person != "zuider":
            assert [event["incident_id"] for _, event in page.wait("change")] == [incident]
    assert all(page.events() == [] for page in pages[2::4])
    for page in pages:
        page.close()


def test_a_page_that_does_not_read_is_cut_off(database, board):
    incident = make_incident(database)
    peer = board.connect(receive_buffer=4096)
    peer.sendall(board.head("jansen", path="/api/changes?after=0"))
    reader = Page(board, "jansen", after=0)
    database.execute("insert into mobeye.change (incident_id, op, status, priority, category) select incident_id, 'note', status, "
                     "priority, category from mobeye.incident, generate_series(1, 20000) where incident_id = %s", incident)  # fmt: skip
    for _ in range(2):
        database.execute("select patrol.number_changes()")
    wait_until(lambda: board.metric("streams_cut_total") >= 1, "it is cut off")
    peer.close()
    end, pages = database.value("select max(change_id) from patrol.changes"), [reader]

    def has_everything():
        """On a busy machine it is behind, and cut off too: it then goes on after what it has, as a page does."""
        if pages[-1].closed and f"id: {end}\n" not in pages[-1].text:
            pages.append(Page(board, "jansen", last=pages[-1].events()[-1][0]))
        return f"id: {end}\n" in pages[-1].text
    wait_until(has_everything, "the other one has everything")
    for page in pages:
        page.close()


def test_what_is_sent_on_an_open_stream_is_not_kept(board):
    with board.connect() as peer:
        peer.sendall(board.head("jansen", path="/api/changes"))
        assert peer.recv(1000).startswith(b"HTTP/1.1 200")
        sent = 0
        with pytest.raises(OSError):
            while sent < 256 * 1024 * 1024:
                sent += peer.send(bytes(65536))
        assert sent < 16 * 1024 * 1024
    wait_until(lambda: board.metric("streams") == 0, "the stream has ended")


def test_streams_that_nobody_reads_are_bounded_together(cluster, database, board):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    incident = make_incident(database)
    database.execute("insert into mobeye.change (incident_id, op, status, priority, category) select incident_id, 'note', status, "
                     "priority, category from mobeye.incident, generate_series(1, 1000) where incident_id = %s", incident)  # fmt: skip
    database.execute("select patrol.number_changes()")
    reader = Page(board, "jansen")
    reader.wait("heartbeat")
    cluster.freeze()  # so that all of them get 1000 changes at once, none of them 256 KiB
    try:
        peers = [board.connect(receive_buffer=4096) for _ in range(600)]
        for peer, person in zip(peers, ["jansen", "bakker", "regie"] * 200):
            peer.sendall(board.head(person, path="/api/changes?after=0"))
        wait_until(lambda: board.metric("streams") == 601, "all follow")
    finally:
        cluster.thaw()
    wait_until(lambda: any("more than 64 MiB unread" in line for line in board.log), "the worst are cut off")
    assert board.metric("streams_unread_bytes") <= 64 * 1024 * 1024
    assert 0 < board.metric("streams_cut_total") < 600
    board.act("jansen", incident, "claim")
    reader.wait("change")
    for peer in [*peers, reader]:
        peer.close()
    wait_until(lambda: board.metric("streams") == 0, "all are gone")
    assert (board.metric("streams_unread_bytes"), board.metric("streams_excess_total")) == (0, 0)


def test_a_person_has_256_streams_at_most(database, board):
    other = Page(board, "bakker")
    oldest = Page(board, "jansen")
    oldest.wait("heartbeat")  # the others begin in the order in which the database answers
    pages = [oldest, *(Page(board, "jansen") for _ in range(255))]
    for page in [other, *pages]:
        page.wait("heartbeat")
    last = Page(board, "jansen")
    last.wait("heartbeat")
    wait_until(lambda: board.metric("streams") == 257, "one is closed")
    wait_until(lambda: [page.closed for page in pages] == [True] + [False] * 255, "it is the oldest")
    assert board.metric("streams_excess_total") == 1 and not last.closed and not other.closed


def test_why_nobody_is_identified_is_logged(board):
    secret, named = f"X-Proxy-Secret: {SECRET}", "X-Remote-User: iemand"
    for headers, reason in (([named], "header X-Proxy-Secret is missing"), ([named, "X-Proxy-Secret: x"], "does not match the secret"),
                            ([named, secret, secret], "header X-Proxy-Secret occurs more than once"),
                            ([secret], "header X-Remote-User is missing"), ([secret, "X-Remote-User: "], "header X-Remote-User is empty"),
                            ([secret, named, "x-remote-user: ander"], "header X-Remote-User occurs more than once")):
        assert board.raw(request(*headers, secret=None))[0] == 401, headers
        wait_until(lambda: any("401" in line and reason in line for line in board.log), f"the log says that {reason}")
    assert not any("iemand" in line or "ander" in line for line in board.log)


def test_the_log_has_nothing_of_persons_and_homes(database, board):
    number = make_incident(database)
    board.ask("jansen", "/api/closed?q=Dorpsstraat")
    board.act("jansen", number, "note", note="iets persoonlijks")
    board.ask("niemand")
    text = "".join(board.log)
    assert not any(word in text for word in ("jansen", "Dorpsstraat", "persoonlijks", "niemand", SECRET))
