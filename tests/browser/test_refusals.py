"""What is said if something could not be done: why, in the language of the person; and nothing that was typed is
lost."""
import night
import pytest
from test_equipment import SILENT
from test_working import mute

LATE = "window.fetchBefore = fetch; window.fetch = (path, o) => o?.method === 'POST' ? fetchBefore(path, o) : new Promise(() => {})"


def open_mute(screen, incident, reason="sirene stuk"):
    screen.click(f"{screen.row(incident)} .more summary")
    screen.click(f'{screen.row(incident)} [data-action="mute"]')
    screen.wait("dialog [name=reason]").send_keys(reason)


def test_a_mute_is_refused_for_the_reason_that_there_is(scene):
    incident, still = scene.incident(), scene.incident(device="NL-0307-00002", number=1, more="active = 0")
    screen = scene.screen("jansen")
    screen.wait(screen.row(still))
    mute(screen, still, "restored")
    screen.wait_text("#notice .conflict", "Niet uitgevoerd", "niets (meer) actief", "Demp voor een tijd")
    assert "hersteld is" not in screen.text("#notice")
    screen.click('#notice [data-do="dismiss"]')
    open_mute(screen, incident)
    assert scene.board.act("bakker", incident, "close", outcome="false_alarm")[0] == 200  # meanwhile
    screen.click("dialog [data-confirm=mute]")
    screen.wait_text("#notice .conflict", "Niet uitgevoerd", "kan niet", "Het is nu: Gesloten")
    assert "actief" not in screen.text("#notice") and "Demp" not in screen.text("#notice")


def test_a_reason_is_offered_again_in_its_own_form_alone_until_that_is_cancelled(scene):
    refused, other = scene.incident(), scene.incident(device="NL-0307-00001")
    screen = scene.screen("jansen")
    screen.wait_live()

    def offered(incident):
        open_mute(screen, incident, "")
        return screen.js("return document.querySelector('dialog [name=reason]').value")

    screen.wait(screen.row(refused))
    open_mute(screen, refused)
    # The clock of the device is set back by two hours, and the board has not been heard since.
    screen.js(LATE + "; window.now = Date.now; Date.now = () => now() - 2 * 3600000")
    screen.click('dialog [value="1"]')
    screen.click("dialog [data-confirm=mute]")
    screen.wait_text("#notice .conflict, #notice .failed", "Kies een tijdstip in de toekomst")
    screen.js("Date.now = now; window.fetch = fetchBefore")
    screen.js("document.dispatchEvent(new Event('visibilitychange'))")
    assert offered(other) == "", "of the same device, but another incident"
    screen.click('dialog button[type="button"]')
    screen.wait("dialog", absent=True)
    screen.click(f"{screen.row(other)} .more summary")
    screen.click(f'{screen.row(other)} [data-action="note"]')
    screen.wait("dialog [name=note]").send_keys("gebeld")
    screen.click("dialog [data-confirm=note]")
    screen.wait("#notice .done")
    assert offered(refused) == "sirene stuk"
    screen.click('dialog button[type="button"]')
    screen.wait("dialog", absent=True)
    assert offered(refused) == ""


def test_a_mute_from_before_an_incident_was_reopened_is_named_in_dutch(scene):
    screen = scene.screen("jansen")
    screen.wait_live()
    screen.focus_window()
    said = screen.driver.execute_async_script("""const done = arguments[0]; import('/stored.js').then(m => done(m.refusalOf(
        {reference: '2026-000001', status: 'reopened'}, {code: '55000', status: 'reopened', message:
         'incident 2026-000001: another device joined it, which was muted before it was reopened'})))""")
    assert "was al gedempt voordat de melding heropend of vrijgegeven werd" in said["text"] and "demp opnieuw" in said["text"], said


def test_what_a_person_may_not_any_more_is_said_in_dutch(scene):
    incident = scene.incident()
    scene.database.execute("""
        do $$ begin create role vervanger login; exception when duplicate_object then null; end $$; grant mobeye_patrol to vervanger;
        insert into mobeye.person values ('vervanger', 'Vervanger', 'noord', false)""")
    screen = scene.screen("vervanger")
    screen.wait(screen.row(incident))
    screen.wait_live()
    screen.js("document.addEventListener('visibilitychange', e => e.stopImmediatePropagation(), true);" + LATE)
    scene.database.execute("revoke mobeye_patrol from vervanger")
    screen.click(f'{screen.row(incident)} [data-action="claim"]')
    screen.wait_text("#notice .failed", "Niet uitgevoerd: U mag dit niet.")
    assert "Expected" not in screen.text("#notice")
    scene.database.execute("delete from mobeye.person where login = 'vervanger'")
    screen.click(f'{screen.row(incident)} [data-action="claim"]')
    screen.wait_text("#notice .failed", "Niet uitgevoerd: U bent niet (meer) geregistreerd")


@pytest.mark.parametrize("until", ["restored", "8"])
@pytest.mark.parametrize("home", [("SRID=4326;POINT(5.5 52.3)", "zuid", True), ("SRID=4326;POINT(5.372 52.199)", "noord", False)])
def test_an_incident_does_not_mute_the_home_to_which_its_device_has_gone(scene, home, until):
    """Nor is the incident said to be gone."""
    incident = scene.incident()
    screen = scene.screen("jansen")
    screen.wait(screen.row(incident))
    scene.database.execute("update mobeye.placement set during = tstzrange(lower(during), now() - interval '1 minute')")
    scene.database.execute("insert into mobeye.placement (device_id, during, geom, team, secret) select device_id,"
                           " tstzrange(now() - interval '1 minute', null), %s::geometry, %s, %s from mobeye.placement", *home)
    mute(screen, incident, until)
    screen.wait_text("#notice .conflict", "staat niet meer op de plek")
    screen.wait(screen.row(incident))
    assert scene.database.value("select count(*) from mobeye.mute") == 0


def test_only_areas_that_one_may_mute_are_offered_and_a_reason_outlives_a_refusal(scene):
    screen = scene.screen("jansen", "/equipment")
    screen.click('[data-do="mute-area"]')
    screen.wait("dialog option")
    assert screen.js("return [...document.querySelectorAll('dialog option')].map(o => o.text)") == ["wijk: Nieuwland (WK999901)"]
    screen.click("dialog [data-confirm=area]")
    screen.wait("dialog [name=reason]").send_keys("stroomstoring in de wijk")
    scene.database.execute("delete from mobeye.team_area where team = 'noord'")
    screen.click("dialog [data-confirm=mute]")
    screen.wait_text("#notice .failed", "Niet uitgevoerd: dit is niet van uw team")
    screen.click('[data-do="mute-area"]')
    screen.wait_text("#notice .failed", "geen gebieden die u kunt dempen")
    scene.database.execute("insert into mobeye.team_area values ('noord', 'wijk', 'WK999901')")
    reason = "return document.querySelector('dialog [name=reason]').value"
    for expected in ("stroomstoring in de wijk", ""):
        screen.click('[data-do="mute-area"]')
        screen.click("dialog [data-confirm=area]")
        screen.wait("dialog [name=reason]")
        assert screen.js(reason) == expected
        screen.click("dialog [data-confirm=mute]") if expected else None
        screen.wait("#notice .done")
    room = scene.screen("meldkamer", "/equipment")
    room.click('[data-do="mute-area"]')
    room.wait("dialog option:nth-child(3)")


def test_a_device_that_is_gone_or_of_another_team_and_an_end_that_is_past_are_refused_in_dutch(scene):
    night.add_home(scene.database, "NL-0307-00001", 0)
    scene.database.execute(SILENT)
    screen = scene.screen("jansen", "/equipment")
    screen.wait_live()
    screen.wait('#devices [data-action="mute"]')
    screen.js(LATE)

    def refused(*text):
        screen.click('#devices [data-action="mute"]')
        field = screen.wait("dialog [name=reason]")
        field.clear()
        field.send_keys("hond")
        screen.click("dialog [data-confirm=mute]")
        screen.wait_text("#notice .notice", "Niet uitgevoerd", *text)

    screen.js("window.now = Date.now; Date.now = () => now() - 2 * 3600000")  # the clock of the device is two hours behind
    refused("Kies een tijdstip in de toekomst")
    screen.js("Date.now = now")
    scene.database.execute("update mobeye.placement set team = 'zuid'")
    refused("dit is niet van uw team")
    scene.database.execute("delete from mobeye.placement; delete from mobeye.device_status; delete from mobeye.device")
    refused("dit apparaat bestaat niet")
