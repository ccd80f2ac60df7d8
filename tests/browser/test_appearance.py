"""How it looks to different people: sizes, themes, languages, accessibility, and that no other server is contacted."""
import pytest

from harness.wait import wait_until

PAGES = {"queue": "/", "equipment": "/equipment", "closed": "/closed", "wall": "/wall"}


def open_page(screen, path):
    screen.open(path)
    screen.wait_live()
    screen.wait("#main h1")
    if path == "/":
        screen.wait("#map [data-incident]")
        screen.wait("#map .area")


def paths(scene):
    return {**PAGES, "incident": f"/incident/{scene.urgent}"}


def choose(screen, language, theme):
    """In the settings, on the page that is open."""
    screen.click("#settings")
    for name, value in (("language", language), ("theme", theme)):
        screen.click(f"dialog[open] [name={name}][value={value}]")
    screen.click("dialog[open] .sheet-head button")
    screen.wait("dialog", absent=True)
    assert screen.js("return [document.documentElement.lang, document.documentElement.dataset.theme]") == [language, theme]


def test_every_page_is_accessible_in_both_languages_and_themes(full):
    screen = full.screen("jansen")
    found = []
    for name, path in paths(full).items():
        open_page(screen, path)
        for language, theme in (("nl", "light"), ("nl", "dark"), ("en", "dark"), ("en", "light")):
            choose(screen, language, theme)
            found += [f"{name} {language} {theme}: {problem}" for problem in screen.axe()]
    choose(screen, "en", "dark")
    open_page(screen, "/")
    for button, dialog in (("#settings", "settings"), ('#queue [data-action="close"]', "close")):
        screen.click(button)
        screen.wait(f"dialog[data-dialog={dialog}]")
        found += [f"{dialog}: {problem}" for problem in screen.axe()]
        screen.js("document.querySelector('dialog').close()")
    assert not found, "\n".join(found)


def test_the_wall_shows_the_queue_and_has_no_actions(full):
    screen = full.screen("jansen", "/wall", width=1920, height=1080)
    screen.wait_live()
    queue = [i["incident_id"] for i in full.board.ask("jansen")[1]["incidents"]]
    assert screen.js("return [...document.querySelectorAll('#queue [data-incident]')].map(r => Number(r.dataset.incident))") == queue
    assert screen.count("[data-action]") == 0


def test_each_incident_with_a_place_is_on_the_map_once_clustered_or_not(full):
    screen = full.screen("meldkamer")
    screen.wait_live()
    screen.wait("#map [data-incident]")
    queue = full.board.ask("meldkamer")[1]["incidents"]
    placed = sorted(i["incident_id"] for i in queue if i["geom"])
    assert len(placed) < len(queue)
    on_map = screen.js("return [...document.querySelectorAll('#map [data-incident]')].map(r => Number(r.dataset.incident))")
    assert sorted(on_map) == placed
    assert screen.count("#map .cluster") > 0
    screen.wait_text("#map .map-note", "zonder plaats")


def test_language_and_theme_are_chosen_and_kept_and_nothing_else_is_stored(full):
    screen = full.screen("jansen")
    screen.wait_live()
    screen.click("#settings")
    screen.click("dialog [name=language][value=en]")
    screen.wait_text("dialog", "Settings", "Colours")
    screen.click("dialog [name=theme][value=dark]")
    screen.click("dialog .sheet-head button")
    screen.wait_text("#main h1", "Queue")
    screen.open("/")
    screen.wait_text("#main h1", "Queue")
    assert screen.js("return getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert set(screen.js("return Object.keys(localStorage)")) <= {"language", "theme", "sound", "keys", "notify", "distance"}
    assert screen.js("return [sessionStorage.length, document.cookie]") == [0, ""]


def test_nobody_else_is_asked_for_anything(full):
    full.chromium.requests()
    screen = full.screen("jansen")
    for path in paths(full).values():
        open_page(screen, path)
    asked = full.chromium.requests()
    assert any("/api/areas" in url for url in asked)
    assert [url for url in asked if not url.startswith(screen.base)] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_is_wider_than_its_screen_from_a_phone_to_a_wall(full, theme):
    screen = full.screen("jansen", theme=theme)
    for name, path in paths(full).items():
        screen.size(1280, 900)
        open_page(screen, path)
        for width, height in ((1280, 900), (2560, 1440), (768, 1024), (360, 740)):
            screen.size(width, height)
            assert screen.overflow() <= 0, (name, width)
            assert screen.overflow("#top nav") <= 0, (name, width)
            screen.shot(f"{name}-{width}-{theme}")


def test_fingers_find_their_targets(full):
    screen = full.screen("jansen", width=360, height=740, touch=True)
    for path in ("/", f"/incident/{full.urgent}", "/closed"):
        open_page(screen, path)
        small = screen.js("""return [...document.querySelectorAll('#main .button')].filter(b => b.checkVisibility())
            .map(b => [b.innerText, b.getBoundingClientRect()]).filter(([, r]) => r.height < 36 || r.width < 36)
            .map(([text, r]) => `${text} ${r.width}x${r.height}`)""")
        assert not small, (path, small)


@pytest.mark.parametrize("width, height", [(360, 640), (360, 740), (390, 844)])
def test_nothing_lies_over_the_menu_of_any_row_on_a_phone(full, width, height):
    screen = full.screen("jansen", width=width, height=height, touch=True)
    screen.wait_live()
    screen.click('[data-do="next"]')  # with a notice at the foot
    screen.wait("#notice .done")
    rows = screen.js("return [...document.querySelectorAll('#queue [data-incident]')].map(r => r.dataset.incident)")
    for row in (rows[0], rows[-2], rows[-1]):
        if row == rows[-1]:
            screen.click('#notice [data-do="dismiss"]')
        screen.js("document.querySelector(arguments[0]).scrollIntoView({block: 'end'})", screen.row(row))
        screen.js("document.querySelector(arguments[0]).click()", screen.row(row) + " .more summary")
        covered = """return [...document.querySelectorAll(arguments[0] + ' .more-list .button')].filter(b => {
            if (arguments[1]) { b.scrollIntoView({block: 'center'}); }
            const r = b.getBoundingClientRect();
            return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2) !== b; }).map(b => b.innerText)"""
        if row == rows[-1]:
            wait_until(lambda: screen.js(covered, screen.row(row), False) == [], "the menu is brought into sight")
            screen.shot(f"menu-{width}-{height}")
        assert screen.js(covered, screen.row(row), True) == []
        screen.js("document.querySelector(arguments[0]).click()", screen.row(row) + " .more summary")


@pytest.mark.parametrize("width, height", [(1366, 650), (1280, 700)])
def test_the_last_row_can_be_brought_out_from_under_a_notice(full, width, height):
    screen = full.screen("jansen", width=width, height=height)
    screen.wait_live()
    screen.click('[data-do="next"]')
    screen.wait("#notice .done")
    covered = screen.js("""scrollTo(0, document.documentElement.scrollHeight);
        return [...[...document.querySelectorAll('#queue [data-incident]')].at(-1).querySelectorAll('.button')].filter(b => b.checkVisibility()).filter(b => {
            const r = b.getBoundingClientRect();
            return !b.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)); }).map(b => b.innerText)""")
    assert covered == []


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_stay_in_their_place(scene, width):
    name = "NL0307" + 5 * "ABCDEFGHIJ" + "00000077"
    assert len(name) == 64
    scene.incident(device=name, kind="battery", category="service", priority=4)
    scene.incident(device="frigate.kamera.achterom.nieuwland.7", number=2, kind="battery", category="service", priority=4)
    alarm = scene.incident(device=name[:-1], number=3, more=f"status = 'assigned', assigned_to = '{60 * 'w'}'")
    scene.database.execute(f"update mobeye.placement set address = '{20 * 'Straat'}weg 7' where device_id = '{name[:-1]}'")
    until = scene.database.value("select to_jsonb(now() + interval '1 hour') #>> '{}'")
    screen = scene.screen("jansen", width=width, height=900)
    for path in ("/", "/equipment", f"/incident/{alarm}", "/closed"):
        if path == "/equipment":
            assert scene.board.ask("jansen", "/api/mute", "POST", {"device": name, "until": until, "reason": 150 * "x"})[0] == 200
        if path == "/closed":
            assert scene.board.act("jansen", alarm, "close", outcome="technical")[0] == 200
        screen.open(path)
        screen.wait_live()
        screen.wait(".rows > li, .incident-head")
        screen.shot(f"long{path.replace('/', '-')}-{width}")
        # Where the words are, not their boxes.
        over = screen.js("""const boxes = e => {
                const words = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), found = [], range = document.createRange();
                while (words.nextNode()) {
                    range.selectNodeContents(words.currentNode);
                    found.push(...[...range.getClientRects()].map(r => [words.currentNode.data.slice(0, 40), r]));
                }
                return found;
            };
            return [...document.querySelectorAll('.rows > li, .incident-head')].flatMap(row => {
                const place = row.getBoundingClientRect();
                const beside = [...row.querySelectorAll('.when, .status')].flatMap(boxes).map(([, r]) => r);
                const out = boxes(row).filter(([, r]) => r.right > place.right + 1);
                const under = boxes(row.querySelector('.what')).filter(([, r]) => beside.some(b =>
                    r.right > b.left + 1 && r.left < b.right - 1 && r.bottom > b.top + 3 && r.top < b.bottom - 3));
                return [...out, ...under].map(([text]) => text);
            })""")
        assert over == [] and screen.overflow() <= 0, (path, over)


def test_what_is_well_is_said_where_there_is_nothing(scene):
    screen = scene.screen("jansen")
    screen.wait_text("#main", "Alles rustig")
    screen.shot("empty-queue")
    screen.open("/equipment")
    screen.wait_text("#main", "alles meldt zich", "Niets is gedempt")
    screen.shot("empty-equipment")
    screen.open("/closed")
    screen.wait_text("#main", "niets gesloten")
