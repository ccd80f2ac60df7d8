"""Lists: what is found, how much is shown, and that a press is for the row that the person saw."""
import pytest

from harness.wait import wait_until

from test_working import status

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="Selenium is not installed (Debian: python3-selenium)").Keys


def test_closed_incidents_are_found_by_the_words_on_the_screen(scene):
    incident = scene.incident(more="status = 'closed', accepting = false, closed_by_person = true, closed_at = now(), outcome = 'false_alarm',"
                                   " assigned_to = 'jansen'")
    screen = scene.screen("jansen", "/closed")
    row = f'#closed [data-key="i{incident}"]'
    for word in ("Inbraak", "vals alarm", "A. Jansen", "false alarm"):
        screen.wait("#search").clear()
        screen.wait("#search").send_keys("bestaat niet", Keys.ENTER)
        screen.wait_text("#main", "Niets gevonden")
        screen.wait("#search").clear()
        screen.wait("#search").send_keys(word, Keys.ENTER)
        screen.wait(row)
    screen.click('nav a[href="/closed"]')
    screen.wait_text("#main", "Gesloten in de laatste 24 uur")
    assert screen.js("return document.getElementById('search').value") == ""


def test_a_list_that_was_cut_says_so(scene):
    first = scene.incident()
    scene.database.execute("""
        update mobeye.incident set status = 'closed', accepting = false, closed_by_person = true, closed_at = now(), outcome = 'no_trace'
         where incident_id = %s""", first)
    screen = scene.screen("jansen", "/closed")
    screen.wait("#closed li")
    assert screen.text('.hint[role="status"]') == "Gesloten in de laatste 24 uur"
    screen.js("""const before = fetch; window.fetch = async (path, o) => {
        const response = await before(path, o);
        if (!path.startsWith('/api/closed')) return response;
        const answer = await response.json(), [one] = answer.incidents;
        answer.incidents = Array.from({length: 200}, (_, n) => ({...one, incident_id: n + 1}));
        return new Response(JSON.stringify(answer), {headers: {'Content-Type': 'application/json'}});
    }; document.dispatchEvent(new Event('visibilitychange'))""")
    screen.wait_text('.hint[role="status"]', "de laatste 200")


def test_a_press_is_not_for_a_row_that_has_just_come_there(scene):
    """A panic pushes the queue down; with the keyboard, the focus goes with the row."""
    first, second = (scene.incident(device=f"NL-0307-0000{n}", number=n, age=f"{9 - n} minutes") for n in (1, 2))
    screen = scene.screen("jansen")
    screen.wait(screen.row(second))
    screen.wait_live()
    wait_until(lambda: screen.count("html[data-moving]") == 0, "all is where it is")
    # Presses where the button was, as soon as another lies there, and again by the keyboard on the row that had the focus.
    screen.js(f"""window.pressed = []; const before = fetch;
        window.fetch = (path, o) => {{ o?.method === 'POST' && pressed.push(path); return before(path, o) }};
        const button = document.querySelector('{screen.row(first)} [data-action=claim]'), {{x, y}} = button.getBoundingClientRect();
        new MutationObserver(() => {{
            const there = document.elementFromPoint(x + 9, y + 9)?.closest('[data-action]');
            if (there && there.dataset.for !== '{first}' && !window.there) {{
                window.there = there.dataset.for;
                there.dispatchEvent(new MouseEvent('click', {{bubbles: true, cancelable: true, detail: 1}}));
                document.querySelector('{screen.row(first)} [data-action=acknowledge]').click();
            }}
        }}).observe(document.getElementById('main'), {{childList: true, subtree: true}})""")
    panic = scene.incident(device="NL-0307-00003", number=3, kind="panic", priority=1, age="1 second")
    wait_until(lambda: screen.js("return pressed.length") > 0, "the keyboard works")
    assert screen.js("return [there, pressed]") == [str(panic), [f"/api/incident/{first}/acknowledge"]]
    screen.click(f'{screen.row(panic)} [data-action="claim"]')
    wait_until(lambda: status(scene, panic)[0] == "assigned", "a moment later it is taken")


def test_the_text_of_one_alert_does_not_bury_the_queue(scene):
    incident = scene.incident(more="last_seen = now()")
    scene.database.execute("select mobeye.premake_partitions()")
    scene.database.execute("""insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags,
        drill, source, event_id, device_id, payload, team, incident_id)
        select 0, 2, 0, 0, last_seen, now(), 1, 1, 0, false, '/v', '1', device_id,
               json_build_object('data', json_build_object('text', repeat('Achterdeur open. ', 300))), 'noord', incident_id
          from mobeye.incident where incident_id = %s""", incident)
    screen = scene.screen("jansen", width=360, height=780)
    screen.wait_text(screen.row(incident), "Achterdeur open.")
    assert screen.js("return document.querySelector(arguments[0]).offsetHeight", screen.row(incident)) < 350
    screen.shot("long-text-phone")
    screen.open(f"/incident/{incident}")
    wait_until(lambda: screen.text(".table").count("Achterdeur open.") == 300, "all of it is there")


def test_the_wall_names_who_has_an_incident(scene):
    incident = scene.incident()
    assert scene.board.act("jansen", incident, "claim")[0] == 200
    screen = scene.screen("jansen")
    screen.wait_text(screen.row(incident), "Toegewezen: u")
    screen.open("/wall")
    screen.wait_text(screen.row(incident), "Toegewezen: A. Jansen")
