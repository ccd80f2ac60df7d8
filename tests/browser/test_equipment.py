"""The equipment: which device or endpoint is at fault, and what is muted."""
import pytest

import night

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="Selenium is not installed (Debian: python3-selenium)").Keys

SILENT = """
insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at, last_occurred_at, endpoint, source, kind, silent_since)
values ('NL-0307-00001', true, now(), now(), now(), 'p', 'd', 'keepalive', now())
"""

def test_a_service_incident_says_which_device_or_endpoint_it_is_about(scene):
    stands = scene.incident(kind="battery", category="service", priority=4)
    nowhere = scene.incident(device="NL-0307-00009", kind="comms", category="service", priority=4, home=False)
    endpoint = scene.database.value("select mobeye.open_silence('endpoint', 'amersfoort-1/portal', now() - interval '1 hour')")
    scene.database.execute("insert into mobeye.endpoint_status (instance, endpoint, silent_since) values ('amersfoort-1', 'portal', now())")
    scene.database.execute("""
        do $$ begin create role beheer login in role mobeye_registry; exception when duplicate_object then null; end $$;
        insert into mobeye.person values ('beheer', 'Beheer', 'noord', false)""")
    for person in ("beheer", "jansen"):
        screen = scene.screen(person, "/equipment")
        row = '#service [data-key="i%s"]'
        screen.wait_text(row % stands, "Voorbeeldlaan 1", "Batterij", "NL-0307-00001")
        screen.wait_text(row % nowhere, "NL-0307-00009", "Geen contact")
        screen.wait_text(row % endpoint, "Ontvangst amersfoort-1/portal is stil")
        assert "Adres onbekend" not in screen.text(row % endpoint)
    screen.shot("service")
    screen.size(360, 780)
    screen.shot("service-phone")
    assert screen.overflow() <= 0 and screen.axe() == []
    screen.click(row % endpoint + " a.open")
    screen.wait_text("h1", "Ontvangst amersfoort-1/portal is stil")
    screen.wait_text(".history", "ontvangst amersfoort-1/portal is stil")
    screen.js("localStorage.setItem('language', 'en')")
    screen.open("/equipment")
    screen.wait_text(row % endpoint, "Endpoint amersfoort-1/portal is silent")
    scene.database.execute("select mobeye.end_silence('endpoint', 'amersfoort-1/portal', now())")
    screen.open("/closed")
    for words in ("Endpoint amersfoort-1/portal is silent", "Nothing found", "Endpoint amersfoort-1/portal is silent"):
        screen.wait_text("#main", words)
        search = screen.wait("#search")
        search.clear()
        search.send_keys("amersfoort-1/por" if "Nothing" in words else "amersfoort-2", Keys.ENTER)


def test_the_history_tells_of_mutes_in_the_language_of_the_person(scene):
    incident = scene.incident()
    until = scene.database.value("select to_jsonb(now() + interval '1 hour') #>> '{}'")
    for call in ("mute", "unmute", "mute"):
        done = scene.board.ask("jansen", f"/api/{call}", "POST", done if call == "unmute" else
                               {"device": "NL-0307-00001", "until": until, "reason": "hond"})[1]
    scene.database.execute("update mobeye.mute set at = at - interval '1 hour', until = now() - interval '1 second' where ended_at is null")
    scene.database.execute("select mobeye.end_mutes()")
    scene.database.execute("insert into mobeye.incident_history (incident_id, actor, action, note) values (%s, 'jansen', 'note', 'unmuted')", incident)
    assert scene.board.act("bakker", incident, "note", note="board")[0] == 200
    scene.database.execute("update mobeye.incident set status = 'assigned', assigned_to = 'bakker' where incident_id = %s", incident)
    scene.database.execute("delete from mobeye.person where login = 'bakker'")
    notes = "return [...document.querySelectorAll('.history .note')].map(n => n.innerText)"
    screen = scene.screen("jansen", f"/incident/{incident}")
    screen.wait_text(".history", "persoon verwijderd")
    assert screen.js(notes) == ["persoon verwijderd", "board", "unmuted", "demping afgelopen", "gedempt: hond", "demping opgeheven", "gedempt: hond"]
    screen.js("localStorage.setItem('language', 'en')")
    screen.open(f"/incident/{incident}")
    screen.wait_text(".history", "person removed")
    assert screen.js(notes) == ["person removed", "board", "unmuted", "mute ended", "muted: hond", "unmuted", "muted: hond"]


def test_why_a_mute_is_refused_is_said_in_the_language_of_the_person(scene):
    night.add_home(scene.database, "NL-0307-00001", 0)
    scene.database.execute(SILENT)
    until = scene.database.value("select to_jsonb(now() + interval '1 hour') #>> '{}'")
    assert scene.board.ask("jansen", "/api/mute", "POST", {"device": "NL-0307-00001", "until": until, "reason": "hond"})[0] == 200
    screen = scene.screen("jansen", "/equipment")
    screen.wait_live()
    screen.wait('#devices [data-action="unmute"]')
    # What the page shows is from before.
    screen.js("window.fetchBefore = fetch; window.fetch = (path, o) => o.method === 'POST' ? fetchBefore(path, o) : new Promise(() => {})")
    scene.database.execute("update mobeye.mute set at = at - interval '2 hours', until = now() - interval '1 second'")
    screen.click('#devices [data-action="unmute"]')
    screen.wait_text("#notice", "Niet uitgevoerd: deze demping is al voorbij")


def test_a_mute_ends_in_the_future_counted_from_when_it_is_asked_for(scene):
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.click(f"{screen.row(incident)} .more summary")
    screen.click(f'{screen.row(incident)} [data-action="mute"]')
    screen.wait("dialog [name=reason]").send_keys("hond")
    screen.click("dialog [value=other]")
    for year in (2020, 2090):
        screen.js("document.querySelector('dialog [name=other]').value = arguments[0]", f"{year}-01-01T08:00")
        screen.click("dialog [data-confirm=mute]")
        screen.wait_text("dialog .form-error", "in de toekomst, binnen een jaar")
    assert screen.js("return document.querySelector('dialog [name=reason]').value") == "hond"
    # The dialog was open for two hours, in which nothing was heard.
    screen.js("const now = Date.now; Date.now = () => now() + 2 * 3600000; const before = fetch;"
              "window.fetch = (path, o) => o?.method === 'POST' ? before(path, o) : new Promise(() => {})")
    screen.click("dialog [value='8']")
    screen.click("dialog [data-confirm=mute]")
    screen.wait_text("#notice .done", "gedempt tot")
    assert scene.database.value("select until > now() + interval '9 hours' from mobeye.mute")


@pytest.mark.parametrize("width", (360, 390))
def test_the_dialog_of_a_mute_fits_a_phone(scene, width):
    night.add_home(scene.database, "NL-0307-00001", 0)
    scene.database.execute(SILENT)
    for language in ("nl", "en"):
        screen = scene.screen("jansen", "/equipment", width=width, height=780, touch=True)
        screen.js("localStorage.setItem('language', arguments[0])", language)
        screen.open("/equipment")
        screen.click('[data-do="mute-device"]')
        screen.wait("dialog [name=reason]")
        screen.shot(f"mute-{width}-{language}")
        assert screen.overflow("dialog") <= 0
        screen.click("dialog [value=other]")
        assert screen.js("""const d = document.querySelector('dialog').getBoundingClientRect(); return [...document.querySelectorAll('dialog *')]
            .filter(e => e.getBoundingClientRect().right > d.right).map(e => e.outerHTML)""") == []
        screen.wait("dialog [name=reason]").send_keys("hond")
        screen.click("dialog [value='1']")
        screen.click("dialog [data-confirm=mute]")
        screen.wait("#notice .done")
        screen.wait("#mutes li")
        screen.js("scrollTo(0, document.body.scrollHeight)")
        screen.shot(f"muted-{width}-{language}")
        assert screen.js("const box = s => document.querySelector(s).getBoundingClientRect();"
                         "return box('[data-do=mute-area]').bottom < box('.notice').top")
        screen.click('#notice [data-do="undo"]')
        screen.wait("#mutes li", absent=True)
