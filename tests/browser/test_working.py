"""What people do on the board: from the queue to the close, two at once, by the keyboard, on a phone."""
import struct
import zlib

import pytest

from harness.alerts import alert, encode
from harness.daemon import Daemon
from harness.peers import Dealer
from harness.wait import wait_until

import night

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="Selenium is not installed (Debian: python3-selenium)").Keys

RULES = """
rules:
  - name: all
    incident: {category: alarm, priority: 2, group_by: [device], gap: 1h}
"""


def png(width, height):
    """A picture that a browser can show."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + bytes([60 + x * 120 // width for x in range(width)]) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def status(scene, incident):
    return scene.database.rows("select status, assigned_to, outcome from patrol.incidents where incident_id = %s", incident)[0]


def test_an_incident_is_worked_from_the_queue_in_two_taps_and_closed(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    row = screen.row(incident)
    screen.wait_text(row, "Voorbeeldlaan 1", "Inbraak", "2026-")
    screen.wait(f'#map [data-incident="{incident}"]')
    screen.click(f'{row} [data-action="claim"]')
    screen.click(f'{row} [data-action="on_scene"]')
    screen.wait_text(row, "Ter plaatse: u")
    assert status(scene, incident) == ("on_scene", "jansen", None)
    screen.click(f'{row} [data-action="close"]')
    screen.click("dialog [data-confirm=close]")
    screen.wait_text("dialog .form-error", "Kies wat het was")
    screen.click("dialog [name=outcome][value=confirmed]")
    screen.click("dialog [data-confirm=close]")
    screen.wait_text("dialog .form-error", "Notitie")
    screen.wait("dialog [name=note]").send_keys("raam open, dader aangehouden")
    screen.click("dialog [data-confirm=close]")
    screen.wait(row, absent=True)
    screen.wait(f'#map [data-incident="{incident}"]', absent=True)
    assert status(scene, incident) == ("closed", "jansen", "confirmed")
    screen.wait_text("#main", "Alles rustig")


def test_a_control_room_takes_the_next_with_and_without_teams(scene):
    incident = scene.incident(more="team = null, areas = '{}'")
    screen = scene.screen("meldkamer")
    screen.wait(screen.row(incident))
    screen.click('[data-do="next"]')
    screen.wait_text(screen.row(incident), "Toegewezen: u")
    screen.click('#notice [data-do="undo"]')
    theirs = scene.screen("visser")
    theirs.wait_text(theirs.row(incident), "Gezien")
    scene.database.execute("""
        delete from mobeye.team_area; delete from mobeye.person where team is not null;
        update mobeye.placement set team = null; delete from mobeye.team""")
    screen.open("/")
    screen.wait(screen.row(incident))
    screen.click('[data-do="next"]')
    screen.wait_text(screen.row(incident), "Toegewezen: u")


def test_the_last_action_is_undone_by_its_opposite(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    row = screen.row(incident)
    screen.click(f'{row} [data-action="claim"]')
    screen.click('#notice .done [data-do="undo"]')
    screen.wait(f'{row}[data-status="acknowledged"]')
    assert status(scene, incident) == ("acknowledged", None, None)
    screen.click(f'{row} [data-action="on_scene"]')
    screen.wait(f'{row}[data-status="on_scene"]')
    screen.click('#notice .done [data-do="undo"]')
    screen.wait(f'{row}[data-status="assigned"]')
    screen.click(f'{row} [data-action="close"]')
    screen.click("dialog [name=outcome][value=no_trace]")
    screen.click("dialog [data-confirm=close]")
    screen.wait(row, absent=True)
    screen.click('#notice .done [data-do="undo"]')
    screen.wait(f'{row}[data-status="reopened"]')
    assert status(scene, incident) == ("reopened", None, None)


def test_what_two_officers_do_at_once_is_done_once_and_shown_to_the_other(scene):
    incident = scene.incident()
    first, second = scene.screen("jansen"), scene.screen("bakker")
    row = first.row(incident)
    for screen in (first, second):
        screen.wait(row)
        screen.wait_live()
    # The second screen does not learn of it before it acts.
    second.js("window.fetchBefore = fetch; window.fetch = (path, o) => path.startsWith('/api/queue') ? new Promise(() => {}) : fetchBefore(path, o)")
    first.click(f'{row} [data-action="claim"]')
    first.wait_text(row, "Toegewezen: u")
    second.click(f'{row} [data-action="claim"]')
    second.wait_text("#notice .conflict", "A. Jansen (jansen) was u voor", "Toegewezen")
    assert status(scene, incident) == ("assigned", "jansen", None)


def test_a_screen_learns_at_once_what_others_do(scene):
    incident = scene.incident()
    first, second = scene.screen("jansen"), scene.screen("bakker")
    row = first.row(incident)
    second.wait(row)
    second.wait_live()
    first.click(f'{row} [data-action="claim"]')
    second.wait_text(row, "Toegewezen: A. Jansen")
    assert second.count(f'{row} [data-action="claim"]') == 0
    another = scene.incident(device="NL-0307-00002", number=1, kind="panic", priority=1)
    for screen in (first, second):
        screen.wait(screen.row(another))
        wait_until(lambda: screen.js("return [...document.querySelectorAll('#queue [data-incident]')].map(r => r.dataset.incident)")
                   == [str(another), str(incident)], "the panic is first")
        wait_until(lambda: screen.js("return document.title").startswith("(1) "), "the title counts it")


def test_the_popup_of_an_incident_that_a_colleague_closes_goes_with_it(scene):
    incident = scene.incident()
    first, second = scene.screen("jansen"), scene.screen("bakker")
    for screen in (first, second):
        screen.wait_live()
    first.click(f'#map button[data-ids="{incident}"]')
    first.wait_text(".leaflet-popup", "Voorbeeldlaan 1")
    second.click(f'{second.row(incident)} [data-action="close"]')
    second.click("dialog [name=outcome][value=no_trace]")
    second.click("dialog [data-confirm=close]")
    second.wait(second.row(incident), absent=True)
    first.wait(first.row(incident), absent=True)
    first.wait(".leaflet-popup", absent=True)


def test_an_incident_is_given_to_another_than_who_has_it(scene):
    incident = scene.incident()
    scene.board.act("jansen", incident, "claim")
    screen = scene.screen("jansen")
    screen.click(f"{screen.row(incident)} .more summary")
    screen.click(f'{screen.row(incident)} [data-action="assign"]')
    screen.wait("dialog option")
    assert screen.text("dialog select").split("\n") == ["S. Bakker"]
    scene.board.act("bakker", incident, "assign", officer="bakker")  # meanwhile
    screen.click("dialog [data-confirm=assign]")
    screen.wait_text("#notice .conflict", "Niet uitgevoerd", "kan niet", "Toegewezen: S. Bakker")
    assert "was u voor" not in screen.text("#notice") and "Kijk eerst" not in screen.text("#notice")


def test_a_double_click_sends_once(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    row = screen.row(incident)
    screen.wait(f'{row} [data-action="acknowledge"]')
    screen.js("const b = document.querySelector(arguments[0]); b.click(); b.click(); b.click()", f'{row} [data-action="acknowledge"]')
    screen.wait(f'{row}[data-status="acknowledged"]')
    screen.wait("#notice .done")
    assert scene.database.value("select count(*) from patrol.incident_history where incident_id = %s and action = 'status'", incident) == 1
    assert screen.count("#notice .conflict") == 0


def test_the_next_is_taken_and_then_nothing_is_free(scene):
    scene.incident(priority=2)
    urgent = scene.incident(device="NL-0307-00002", number=1, priority=1)
    screen = scene.screen("jansen")
    screen.wait(f'{screen.row(urgent)}.next')
    screen.click('[data-do="next"]')
    screen.wait_text(screen.row(urgent), "Toegewezen: u")
    screen.click('[data-do="next"]')
    screen.wait_text("#queue", "Toegewezen: u")
    wait_until(lambda: screen.count("#queue .mine") == 2, "both are theirs")
    screen.wait('[data-do="next"].idle[aria-disabled="true"]')
    screen.click('[data-do="next"]')
    screen.wait_text("#notice", "niets vrij")
    scene.incident(device="NL-0307-00003", number=2)
    screen.wait('[data-do="next"].primary:not([aria-disabled])')


def test_on_an_empty_queue_there_is_no_next_to_take(scene):
    screen = scene.screen("jansen")
    screen.wait(".empty")
    screen.wait('[data-do="next"].idle[aria-disabled="true"]')
    scene.incident()
    screen.wait('[data-do="next"].primary:not([aria-disabled])')


def test_the_second_of_a_double_click_does_not_take_another(scene):
    for n in range(2):
        scene.incident(device=f"NL-0307-0000{n}", number=n)
    screen = scene.screen("jansen")
    screen.wait("#queue .next")
    screen.js("""window.sent = []; window.fetchBefore = fetch;
        window.fetch = (path, o) => { if (o?.method === 'POST') sent.push(path); return fetchBefore(path, o) }""")
    screen.click('[data-do="next"]')
    screen.wait("#queue .mine")
    screen.wait('[data-do="next"]:not([aria-disabled])')
    screen.js("""document.querySelector('[data-do="next"]').dispatchEvent(new MouseEvent('click', {bubbles: true, detail: 2}))""")
    assert screen.js("return sent") == ["/api/next"]


def test_the_control_room_takes_what_is_shown_as_next(scene):
    incident = scene.incident(team="zuid")
    screen = scene.screen("meldkamer")
    screen.wait(f"{screen.row(incident)}.next")
    screen.click('[data-do="next"]')
    screen.wait_text(screen.row(incident), "Toegewezen: u")
    assert status(scene, incident) == ("assigned", "meldkamer", None)


def test_what_is_undone_is_nobody_elses_assignment(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.js("""window.sent = []; window.fetchBefore = fetch;
        window.fetch = (path, o) => { if (path.endsWith('/release')) sent.push(JSON.parse(o.body).officer); return fetchBefore(path, o) }""")
    screen.click(f'{screen.row(incident)} [data-action="claim"]')
    screen.click('#notice .done [data-do="undo"]')
    screen.wait(f'{screen.row(incident)}[data-status="acknowledged"]')
    assert screen.js("return sent") == ["jansen"]


def test_a_person_who_keeps_the_equipment_sees_the_equipment_whatever_the_address(scene):
    incident = scene.incident()
    scene.database.execute("""
        do $$ begin create role materieel login in role mobeye_registry; exception when duplicate_object then null; end $$;
        insert into mobeye.person values ('materieel', 'Materieel', null, true)""")
    screen = scene.screen("materieel")
    for path in ("/", "/wall", "/closed", f"/incident/{incident}"):
        screen.open(path)
        screen.wait_text("#main", "Materieel", "alles meldt zich")
        assert screen.js("return location.pathname") == "/equipment"


def test_the_keyboard_alone_suffices(scene):
    first = scene.incident(priority=1)
    second = scene.incident(device="NL-0307-00002", number=1)
    screen = scene.screen("jansen")
    screen.wait(screen.row(second))
    screen.press(Keys.TAB)
    assert screen.focused() == "skip"
    screen.press(Keys.ENTER, "j", "j")
    assert screen.focused() == f"/incident/{second}"
    screen.press("c")
    screen.wait_text(screen.row(second), "Toegewezen: u")
    assert screen.js("return document.activeElement.closest('[data-incident]')?.dataset.incident") == str(second)
    # Something arrives above: the focus stays where it is.
    scene.incident(device="NL-0307-00003", number=2, kind="panic", priority=1, age="1 hour")
    wait_until(lambda: screen.count("#queue [data-incident]") == 3, "a third")
    assert screen.js("return document.activeElement.closest('[data-incident]')?.dataset.incident") == str(second)
    screen.press("u")
    screen.wait(f'{screen.row(second)}[data-status="acknowledged"]')
    screen.click(f"{screen.row(second)} .more summary")
    screen.press(Keys.TAB, Keys.ESCAPE)
    assert screen.js("return document.activeElement.matches('.more:not([open]) > summary')")
    screen.press("k", Keys.ENTER)
    screen.wait(f'[data-incident-page="{first}"]')
    screen.press("o")
    screen.wait_text(".incident-head", "Ter plaatse: u")
    screen.press("x")
    screen.wait("dialog[open]")
    screen.press(Keys.SPACE, Keys.TAB, "niets gevonden", Keys.TAB, Keys.TAB, Keys.ENTER)
    screen.wait_text(".incident-head", "Gesloten: Niets aangetroffen")
    screen.press("?")
    screen.wait("dialog[data-dialog=settings]")
    screen.press(Keys.ESCAPE)
    screen.wait("dialog", absent=True)


def test_a_secret_place_is_a_cell_to_others_and_an_address_to_its_team(scene):
    incident = scene.incident(team="zuid", secret=True)
    theirs, room = scene.screen("visser"), scene.screen("meldkamer")
    theirs.wait_text(theirs.row(incident), "Voorbeeldlaan 1")
    room.wait_text(room.row(incident), "Plaats afgeschermd")
    room.wait(f'#map .coarse[data-incident="{incident}"]')
    room.wait("#map .cell")
    assert "Voorbeeldlaan" not in room.js("return document.documentElement.innerHTML")
    ours = scene.screen("jansen")
    ours.wait_text("#main", "Alles rustig")


def test_an_incident_page_has_what_an_officer_needs(scene):
    before = scene.incident(age="2 days", more="status = 'closed', accepting = false, closed_at = now() - interval '2 days', outcome = 'false_alarm'")
    incident = scene.incident(age="4 minutes")
    screen = scene.screen("jansen", f"/incident/{incident}")
    screen.wait_text("#main", "Voorbeeldlaan 1", "achterom is open; geen sirene", "Eerste melding", "Vals alarm", "Geen beelden")
    assert screen.count(f'#main a[href="/incident/{before}"]') == 1
    screen.click('#main [data-action="claim"]')
    screen.wait_text(".incident-head", "Toegewezen: u")
    screen.wait_text(".history", "Nieuw → Toegewezen")
    screen.open("/incident/999999")
    screen.wait_text("#main", "niet van uw team")


def mute(screen, incident, until):
    """From its row; until: the value of a tile."""
    screen.click(f"{screen.row(incident)} .more summary")
    screen.click(f'{screen.row(incident)} [data-action="mute"]')
    screen.wait("dialog [name=reason]").send_keys("storing, monteur komt")
    screen.click(f'dialog [value="{until}"]')
    screen.click("dialog [data-confirm=mute]")


def test_a_device_is_muted_and_the_mute_ended(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    mute(screen, incident, "8")
    screen.wait(screen.row(incident), absent=True)
    screen.click('a[href="/equipment"]')
    screen.wait_text("#mutes", "storing, monteur komt", "A. Jansen")
    screen.click('#devices [data-action="unmute"]')
    screen.wait_text("#main", "Niets is gedempt")
    screen.click('a[href="/"]')
    screen.wait(screen.row(incident))


def test_an_incident_that_stays_though_its_device_is_muted_says_why(scene):
    incident = scene.incident()
    night.add_home(scene.database, "NL-0307-00002", 1)
    scene.database.execute("""
        insert into mobeye.incident_condition (condition, incident_id, active, since, device_id, input)
        select gen_random_uuid(), %s, true, now(), device, 1 from unnest(array['NL-0307-00001', 'NL-0307-00002']) as device""", incident)
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    mute(screen, incident, "restored")
    screen.wait_text("#notice .conflict", "Niet uitgevoerd", "blijft in de wachtrij", "elk apparaat")
    assert "patrol." not in screen.text("#notice")
    mute(screen, incident, "1")
    screen.wait_text("#notice .done", "Inbraak NL-0307-00001 gedempt tot", "blijft in de wachtrij", "elk apparaat")
    screen.shot("muted-stays")
    assert screen.count(screen.row(incident)) == 1 and screen.overflow() <= 0
    screen.click('#notice [data-do="undo"]')
    screen.wait_text("#notice .done", "Demping opgeheven")
    screen.js("localStorage.setItem('language', 'en')")
    screen.open("/")
    screen.wait(screen.row(incident))
    mute(screen, incident, "1")
    screen.wait_text("#notice .done", "stays in the queue", "each of its devices")


def test_a_mute_until_restored_says_so(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    mute(screen, incident, "restored")
    screen.wait_text("#notice .done", "Inbraak NL-0307-00001 gedempt tot het hersteld is, uiterlijk tot")
    screen.click('a[href="/equipment"]')
    screen.wait_text("#mutes", "Tot het hersteld is", "Uiterlijk")
    screen.wait_text("#devices", "Gedempt tot het hersteld is, uiterlijk tot")
    screen.shot("muted-until-restored")
    screen.size(360, 780)
    screen.shot("muted-until-restored-phone")
    assert screen.overflow() <= 0 and screen.axe() == []


def test_equipment_shows_the_mutes_of_others_where_no_incident_is_open(scene):
    night.add_home(scene.database, "NL-0307-00001", 0)
    screen = scene.screen("bakker", "/equipment")
    screen.wait_text("#main", "Niets is gedempt")
    screen.wait_live()
    until = scene.database.value("select to_jsonb(now() + interval '1 hour') #>> '{}'")
    status, done = scene.board.ask("jansen", "/api/mute", "POST", {"device": "NL-0307-00001", "until": until, "reason": "storing"})
    assert status == 200, done
    screen.wait_text("#mutes", "NL-0307-00001", "storing")
    assert scene.board.ask("jansen", "/api/unmute", "POST", done)[0] == 200
    screen.wait_text("#main", "Niets is gedempt")


def test_an_area_is_muted_and_the_mute_undone(scene):
    incident = scene.incident()
    screen = scene.screen("jansen", "/equipment")
    screen.click('[data-do="mute-area"]')
    screen.wait("dialog option")
    screen.js("""const s = document.querySelector('dialog select');
        s.value = [...s.options].find(o => o.text.includes('WK999901')).value""")
    screen.click("dialog [data-confirm=area]")
    screen.wait("dialog [name=reason]").send_keys("stroomstoring in de wijk")
    screen.click("dialog [data-confirm=mute]")
    screen.wait_text("#mutes", "Gebied wijk WK999901", "stroomstoring in de wijk")
    assert [i["incident_id"] for i in scene.board.ask("jansen")[1]["incidents"]] == []
    screen.click('#notice [data-do="undo"]')
    screen.wait_text("#main", "Niets is gedempt")
    assert [i["incident_id"] for i in scene.board.ask("jansen")[1]["incidents"]] == [incident]


def test_closed_incidents_are_found_and_opened_again(scene):
    incident = scene.incident(more="status = 'closed', accepting = false, closed_by_person = true, closed_at = now(), outcome = 'no_trace'")
    screen = scene.screen("jansen", "/closed")
    screen.wait_text("#closed", "Voorbeeldlaan 1", "Niets aangetroffen")
    screen.wait("#search").send_keys("bestaat niet", Keys.ENTER)
    screen.wait_text("#main", "Niets gevonden met “bestaat niet”")
    # A link within the page does not begin it again.
    screen.js("addEventListener('popstate', () => { document.body.dataset.popped = 1 }); document.getElementById('skip').click()")
    screen.wait("body[data-popped]")
    screen.wait_text("#main", "Niets gevonden met “bestaat niet”")
    screen.wait("#search").clear()
    screen.wait("#search").send_keys("voorbeeld", Keys.ENTER)
    screen.click('#closed [data-action="reopen"]')
    screen.wait("dialog [name=note]").send_keys("toch niet in orde")
    screen.click("dialog [data-confirm=reopen]")
    wait_until(lambda: status(scene, incident)[0] == "reopened", "it is open again")
    assert "voorbeeld" not in screen.js("return location.href")


def test_sound_repeats_until_somebody_acknowledges(scene):
    incident = scene.incident(priority=1)
    screen = scene.screen("jansen")
    row = screen.row(incident)
    screen.wait(row)
    assert screen.js("return document.documentElement.dataset.sounding") == "none"
    screen.click('#sound[data-sound="blocked"]')
    screen.wait('html[data-sounding="1"]')
    screen.click('#sound[data-sound="on"]')
    screen.wait('html[data-sounding="none"]')
    screen.click('#sound[data-sound="off"]')
    screen.wait('html[data-sounding="1"]')
    screen.click(f'{row} [data-action="acknowledge"]')
    screen.wait('html[data-sounding="none"]')


def test_an_auditor_sees_a_place_only_after_a_reason_and_can_do_nothing(scene):
    incident = scene.incident()
    scene.database.execute("""
        do $$ begin create role toezicht login in role mobeye_auditor; exception when duplicate_object then null; end $$;
        insert into mobeye.person values ('toezicht', 'Toezicht', null, true)""")
    screen = scene.screen("toezicht")
    screen.wait_text(screen.row(incident), "Plaats afgeschermd")
    assert screen.count("[data-action]") == 0 and screen.count('[data-do="next"]') == 0
    screen.click(f"{screen.row(incident)} a.open")
    screen.wait("#reason").send_keys("klacht 2026-17")
    assert "Voorbeeldlaan" not in screen.js("return document.documentElement.innerHTML")
    screen.click('[data-action="open"]')
    screen.wait_text(".incident-head", "Voorbeeldlaan 1")
    screen.wait_text(".history", "bekeken", "klacht 2026-17")
    scene.board.act("jansen", incident, "claim")
    screen.wait_text("#main", "Er is iets veranderd")
    screen.wait_text(".incident-head", "Voorbeeldlaan 1")


def test_back_from_an_incident_the_list_is_where_it_was(full):
    screen = full.screen("jansen")
    screen.wait("#queue li:nth-child(15)")
    screen.js("document.querySelector('#queue li:nth-child(15)').scrollIntoView({block: 'center'})")
    before = screen.js("return scrollY")
    incident = screen.js("return document.querySelector('#queue li:nth-child(15)').dataset.incident")
    screen.click("#queue li:nth-child(15) a.open")
    screen.wait(f'[data-incident-page="{incident}"]')
    screen.js("history.back()")
    wait_until(lambda: screen.focused() == f"/incident/{incident}", "the focus is on the row")
    wait_until(lambda: abs(screen.js("return scrollY") - before) < 60, "the list is where it was")


def test_an_alarm_that_is_sent_appears_with_its_text_its_alerts_and_its_image(scene, context):
    night.add_home(scene.database, "CAM-1", 4, model="camera")
    screen = scene.screen("jansen")
    screen.wait_live()
    daemon = Daemon(scene.database.ingest, more=RULES).start()
    try:
        message = encode(alert("1", device="CAM-1", kind="camera", text="Persoon bij de <achterdeur>",
                               camera={"label": "person", "score": 0.9, "track": "t"}))
        assert Dealer(context, daemon.address()).ask(message, png(640, 360)).word == b"ACK"
        screen.wait_text("#queue", "Camera", "Persoon bij de <achterdeur>")
    finally:
        daemon.dispose()
    screen.click("#queue a.open")
    screen.wait_text(".table", "Camera", "alarm", "CAM-1", "Persoon bij de <achterdeur>")
    wait_until(lambda: screen.js("return document.querySelector('.images img')?.naturalWidth") == 640, "the image is shown")
    assert scene.database.value("select count(*) from patrol.incident_history where image_id is not null") == 1
    screen.shot("incident-image")
