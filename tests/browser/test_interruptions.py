"""What the board shows when something is unavailable: the board, the database, the session."""
import pytest

from harness.board import Board
from harness.wait import wait_until

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="Selenium is not installed (Debian: python3-selenium)").Keys


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


def test_a_page_of_the_proxy_with_status_403_asks_to_sign_in_again(scene):
    """oauth2-proxy answers so; nothing that was typed is lost."""
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait_live()
    screen.click(f"{screen.row(incident)} .more summary")
    screen.click(f'{screen.row(incident)} [data-action="note"]')
    screen.wait("dialog [name=note]").send_keys("raam open")
    screen.js("""window.fetch = async () => new Response('<h1>Sign in</h1>', {status: 403, headers: {'Content-Type': 'text/html'}});
        document.dispatchEvent(new Event('visibilitychange'))""")
    wait_until(lambda: screen.js("return document.getElementById('connection').dataset.state") in ("ended", "denied"), "the answer is read")
    screen.wait_text("#connection", "Meld u opnieuw aan")
    assert screen.js("return document.querySelector('dialog [name=note]').value") == "raam open"


def test_a_client_certificate_that_has_expired_asks_to_sign_in_again(scene):
    """nginx answers so, with status 400 and a page of its own; what is done meanwhile is not called a missing right."""
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    screen.wait_live()
    screen.js("""window.fetch = async () => new Response('<h1>400 Bad Request</h1>', {status: 400, headers: {'Content-Type': 'text/html'}})""")
    screen.click(f'{screen.row(incident)} [data-action="claim"]')
    screen.wait_text("#notice .failed", "sessie was al afgelopen")
    screen.wait_text("#connection", "Meld u opnieuw aan")
    screen.wait("#sign-in")


def test_a_clock_that_is_wrong_is_said_and_not_used(scene):
    incident = scene.incident(age="7 minutes")
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    screen.wait_live()
    screen.js("window.right = Date.now; Date.now = () => right() + 2 * 3600000; document.dispatchEvent(new Event('visibilitychange'))")
    screen.wait_text("#connection", "loopt 120 min voor")
    assert screen.text(f"{screen.row(incident)} .age") in ("7 min", "8 min")
    screen.shot("clock")

    def heard_ago():
        return screen.driver.execute_async_script(
            "const done = arguments[0]; import('/live.js').then(m => done(right() - m.connection.heardAt))")
    screen.js("window.heard = 0; const before = JSON.parse; JSON.parse = text => { heard++; return before(text) }")
    scene.incident(device="NL-0307-00002", number=1)
    wait_until(lambda: screen.js("return heard") > 0, "a change is heard")
    assert abs(heard_ago()) < 60000, "what a page without a connection says"
    screen.click(f"{screen.row(incident)} .more summary")
    screen.click(f'{screen.row(incident)} [data-action="mute"]')
    screen.wait("dialog [name=reason]").send_keys("hond")
    screen.click("dialog [value='8']")
    screen.click("dialog [data-confirm=mute]")
    wait_until(lambda: scene.database.value("select count(*) from mobeye.mute") == 1, "it is muted")
    assert scene.database.value("select until between now() + interval '7 hours' and now() + interval '8 hours 1 minute' from mobeye.mute")


@pytest.mark.parametrize("denied", ["getItem = Storage.prototype.setItem", "setItem"])
def test_the_board_works_where_nothing_may_be_stored(scene, denied):
    """Where storage is full, it can still be read."""
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.cdp("Page.addScriptToEvaluateOnNewDocument",
               source=f"Storage.prototype.{denied} = () => {{ throw new DOMException('denied', 'SecurityError') }}")
    screen.open("/")
    screen.wait(screen.row(incident))
    screen.wait_live()
    screen.click("#sound")
    screen.click("#sound")
    screen.wait('#sound[data-sound="off"]')


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


def test_a_person_of_no_team_is_told_so_and_not_that_all_is_quiet(scene):
    """Including one whose team is deleted while the page is open."""
    incident = scene.incident(kind="panic", priority=1)
    scene.database.execute("insert into mobeye.person values ('zonder', 'Z. Zonder', null, false)")
    pages = [scene.screen("jansen", path) for path in ("/", "/wall")]
    for screen in pages:
        screen.wait(screen.row(incident))
        screen.wait_live()
    theirs = scene.screen("zonder", width=360, height=740, touch=True)
    for path in ("/", "/wall", "/closed", "/equipment"):
        theirs.open(path)
        theirs.wait_text("#main", "U hoort bij geen team", "ziet u geen alarmen", "beheerder")
    theirs.open("/")
    theirs.wait_live()
    theirs.wait("#teamless")
    theirs.js("window.sent = []; window.fetchBefore = fetch; window.fetch = (path, o) => { sent.push(o?.method); return fetchBefore(path, o) }")
    theirs.press("n")
    assert "POST" not in theirs.js("return sent")
    theirs.shot("teamless")
    assert theirs.axe() == []
    scene.database.execute("delete from mobeye.team where team = 'noord'")
    for screen in [*pages, theirs]:
        screen.wait_text("#main", "U hoort bij geen team")
        assert "rustig" not in screen.text() and screen.count('[data-do="next"]') == 0
    scene.database.execute("update mobeye.person set team = 'zuid' where login = 'zonder'")
    theirs.wait('[data-do="next"]')
    theirs.wait(theirs.row(incident))  # it no longer belongs to a team
    theirs.js("localStorage.setItem('language', 'en')")
    scene.database.execute("update mobeye.person set team = null where login = 'zonder'")
    theirs.open("/")
    theirs.wait_text("#main", "You belong to no team", "you see no alarms", "administrator")


def test_pages_that_were_left_hold_no_connection(scene):
    """A browser keeps them, and has six connections for a site."""
    screen = scene.screen("jansen")
    for path in ("/closed", "/wall", "/equipment", "/", "/closed", "/wall", "/equipment", "/"):
        screen.open(path)
        screen.wait_live()
    wait_until(lambda: scene.board.metric("streams") == 1, "only the page that is shown follows the changes")


def test_what_no_change_tells_is_read_all_the_same(scene):
    """A home that becomes secret or gets another address, a person who joins another team: all are changes of other tables."""
    ours, secret = scene.incident(), scene.incident(device="NL-0307-00002", number=1, team="zuid")
    wall = scene.screen("meldkamer", "/wall")
    wall.wait_text(wall.row(secret), "Proefweg 2")
    page = scene.screen("jansen", f"/incident/{ours}")
    page.wait_text(".instructions", "achterom")
    queue = scene.screen("jansen")
    queue.wait_text(queue.row(ours), "Voorbeeldlaan 1")
    marker = f'#map button[data-ids="{ours}"]'
    queue.click(marker)
    queue.wait_text(".popup-list", "Voorbeeldlaan 1")
    queue.click("#settings")
    queue.wait_text("dialog", "Noord")
    queue.press(Keys.ESCAPE)
    for screen in (wall, page, queue):
        screen.wait_live()
    scene.database.execute("update mobeye.placement set secret = true where device_id = 'NL-0307-00002'")
    scene.database.execute("update mobeye.placement set address = 'Anderlaan 9', instructions = 'hond' where device_id = 'NL-0307-00001'")
    wall.wait_text(wall.row(secret), "Plaats afgeschermd")
    page.wait_text("h1", "Anderlaan 9")
    page.wait_text(".instructions", "hond")
    queue.wait_text(queue.row(ours), "Anderlaan 9")
    queue.wait_text(".popup-list", "Anderlaan 9")
    assert "Anderlaan 9" in queue.js("return document.querySelector(arguments[0]).ariaLabel", marker)
    scene.database.execute("update mobeye.person set team = 'zuid' where login = 'jansen'")
    queue.wait(queue.row(ours), absent=True)
    queue.click("#settings")
    queue.wait_text("dialog", "Zuid")
    page.wait_text("#main", "niet van uw team")


def test_a_reading_that_brings_nothing_new_disturbs_nobody(scene):
    incident = scene.incident()
    for n in range(8):
        scene.incident(device=f"NL-0307-1000{n}", number=n + 2)
    screen = scene.screen("jansen", height=500)
    screen.wait_text(screen.row(incident), "Voorbeeldlaan 1")
    screen.wait(f'#map [data-incident="{incident}"]')
    screen.wait_live()
    screen.click(f"{screen.row(incident)} .more summary")
    screen.js("""scrollTo(0, 150); window.seen = [];
        new MutationObserver(all => seen.push(...all.map(m => m.target.parentNode).filter(n => !n?.closest?.('time')))).observe(
            document.getElementById('main'), {subtree: true, childList: true, attributes: true, characterData: true});
        window.reads = 0; window.fetchBefore = fetch;
        window.fetch = (path, o) => fetchBefore(path, o).finally(() => { reads += path === '/api/queue'; })""")
    place = screen.js("return [scrollY, document.activeElement.ariaLabel]")
    wait_until(lambda: screen.js("return reads"), "it is read again")
    screen.js("document.dispatchEvent(new Event('visibilitychange'))")  # somebody comes back to the page
    wait_until(lambda: screen.js("return reads") >= 2, "and at once")
    screen.js("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert screen.js("return seen.map(n => n.outerHTML)") == []
    assert place[0] > 0 and place == screen.js("return [scrollY, document.activeElement.ariaLabel]")
    assert screen.count("details.more[open]") == 1


def test_a_person_who_has_no_rights_any_more_sees_nothing_any_more(scene):
    incident = scene.incident()
    scene.database.execute("do $$ begin create role invaller login in role mobeye_patrol; exception when duplicate_object then null; end $$;"
                           "insert into mobeye.person values ('invaller', 'Invaller', 'noord', false)")
    screens = [scene.screen("invaller", path) for path in ("/", f"/incident/{incident}")]
    for screen in screens:
        screen.wait_text("#main", "Voorbeeldlaan 1")
        screen.wait_live()
    scene.database.execute("revoke mobeye_patrol from invaller")
    for screen in screens:
        screen.wait('#connection[data-state="denied"]')
        assert "Voorbeeldlaan" not in screen.js("return document.documentElement.innerHTML")
        assert screen.count("[data-incident]") == 0 and screen.count("#top .number") == 0
    screens[0].shot("denied")
    scene.database.execute("grant mobeye_patrol to invaller")
    for screen in screens:
        screen.wait_text("#main", "Voorbeeldlaan 1")
        screen.wait_live()
    scene.database.execute("revoke mobeye_patrol from invaller; grant mobeye_registry to invaller")
    for screen in screens:
        screen.wait_text("h1", "Materieel")
        assert "Wachtrij" not in screen.text("#top")


def test_a_queue_that_was_on_its_way_when_the_right_went_is_not_shown(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    screen.wait_live()
    assert screen.js("return document.title").startswith("(1)")
    screen.js("""window.fetchBefore = fetch;
        const denied = () => new Response('{"message": "no"}', {status: 403, headers: {'Content-Type': 'application/json'}});
        window.fetch = async (path, o) => {
            const answer = window.mayNot && path !== '/api/queue' ? denied() : await fetchBefore(path, o);
            return path !== '/api/queue' ? answer : new Promise(done => { window.release = () => done(answer); });
        };
        document.dispatchEvent(new Event('visibilitychange'))""")
    wait_until(lambda: screen.js("return Boolean(window.release)"), "the queue is being read")
    screen.js("window.mayNot = true; document.dispatchEvent(new Event('visibilitychange'))")
    screen.wait('#connection[data-state="denied"]')
    screen.js("release(); return new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done))))")
    assert not screen.js("return document.title").startswith("(")
    assert screen.count("#top .number") == 0
