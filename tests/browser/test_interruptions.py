"""What the board shows when something is gone: the board, the database, the session."""
from harness.board import Board
from harness.wait import wait_until


def test_a_killed_board_and_a_stopped_database_are_said_and_nothing_is_missed(scene, tmp_path):
    """Two boards, so that both losses are waited for at once."""
    first = scene.incident()
    (tmp_path / "other").mkdir()
    other = Board(scene.database, tmp_path / "other").start()
    screen, theirs = scene.screen("jansen"), scene.chromium.screen(other, "bakker", "/")
    try:
        for one in (screen, theirs):
            one.wait(one.row(first))
            one.wait_live()
        scene.board.process.kill()
        scene.board.process.wait()
        scene.board.log.clear()
        # Whether it was done is unknown, and it is not sent again.
        screen.click(f'{screen.row(first)} [data-action="claim"]')
        screen.wait_text("#notice .unknown", "Onbekend of het is uitgevoerd")
        second = scene.incident(device="NL-0307-00002", number=1)
        theirs.wait(theirs.row(second))
        scene.cluster.stop()
        late = scene.chromium.screen(other, "bakker", "/")
        late.wait_text("#main", "database antwoordt niet")
        for one in (screen, theirs):
            one.wait('#connection[data-state="lost"]')
            one.wait_text("#connection", "Geen verbinding sinds")
            assert one.count("html.stale") == 1
        screen.shot("lost")
        scene.cluster.start()
        scene.board.start()
        third = scene.incident(device="NL-0307-00003", number=2)
        for one in (screen, theirs, late):
            one.wait_live()
            for incident in (first, second, third):
                one.wait(one.row(incident))
        screen.wait_text("#notice .unknown", "Opnieuw gelezen", "Nieuw")
        assert screen.count("html.stale") == 0
    finally:
        other.stop()


def test_a_session_that_has_ended_asks_to_sign_in_again(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    screen.wait_live()
    screen.sign_in(None)
    screen.click(f'{screen.row(incident)} [data-action="claim"]')
    screen.wait('#connection[data-state="ended"]')
    screen.wait_text("#connection", "Meld u opnieuw aan")
    screen.wait_text("#notice .failed", "Niet uitgevoerd")
    assert scene.database.value("select status from patrol.incidents where incident_id = %s", incident) == "new"
    screen.sign_in("jansen")
    # It loads the page again, which must not end the script that clicks.
    screen.js("setTimeout(() => document.getElementById('sign-in').click())")
    screen.wait_live()
    screen.wait(screen.row(incident))


def test_a_reading_without_an_answer_is_repeated(scene):
    screen = scene.screen("jansen")
    screen.wait_text("#main", "Alles rustig")
    screen.wait_live()
    screen.js("""window.refused = 0; window.fetchBefore = fetch;
        window.fetch = (path, o) => path === '/api/queue' && !refused++ ? Promise.resolve(new Response('', {status: 502})) : fetchBefore(path, o)""")
    incident = scene.incident()
    screen.wait(screen.row(incident))
    assert screen.js("return refused") > 1


def test_a_page_of_somebody_who_has_signed_out_begins_again(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    screen.wait_live()
    screen.sign_in("visser")
    scene.board.stop()
    scene.board.log.clear()
    scene.board.start()
    screen.wait_text("#main", "Alles rustig")
    screen.click("#settings")
    screen.wait_text("dialog", "M. Visser")


def test_a_page_that_is_older_than_the_board_says_so(scene):
    screen = scene.screen("jansen")
    screen.wait_live()
    assert screen.count("#reload") == 0
    scene.board.stop()
    scene.board.log.clear()
    scene.database.execute("create or replace function patrol.api_version() returns integer language sql immutable as 'select 1000'")
    scene.board.start()
    screen.wait("#reload")
    screen.wait_live()
    screen.wait_text("#connection", "Het bord is vernieuwd")
    screen.shot("outdated")
    assert screen.overflow() <= 0 and screen.axe() == []
    screen.click("#reload")
    screen.wait_live()
    screen.wait("#reload", absent=True)


def test_a_person_who_is_removed_is_told(scene):
    screen = scene.screen("bakker")
    screen.wait_live()
    scene.database.execute("delete from mobeye.person where login = 'bakker'")
    screen.wait_text("#connection", "niet (meer) geregistreerd")
    wait_until(lambda: screen.count('#connection[data-state="denied"]') == 1, "it is not called lost")


def test_pages_that_were_left_hold_no_connection(scene):
    """A browser keeps them, and has six connections for a site."""
    screen = scene.screen("jansen")
    for path in ("/closed", "/wall", "/equipment", "/", "/closed", "/wall", "/equipment", "/"):
        screen.open(path)
        screen.wait_live()
    wait_until(lambda: scene.board.metric("streams") == 1, "only the page that is shown follows the changes")
