"""The equipment: which device or endpoint is at fault, and what is muted."""


def test_the_history_tells_of_mutes_in_the_language_of_the_person(scene):
    incident = scene.incident()
    until = scene.database.value("select to_jsonb(now() + interval '1 hour') #>> '{}'")
    for call in ("mute", "unmute", "mute"):
        done = scene.board.ask("jansen", f"/api/{call}", "POST", done if call == "unmute" else
                               {"device": "NL-0307-00001", "until": until, "reason": "hond"})[1]
    scene.database.execute("update mobeye.mute set at = at - interval '1 hour', until = now() - interval '1 second' where ended_at is null")
    scene.database.execute("select mobeye.end_mutes()")
    scene.database.execute("insert into mobeye.incident_history (incident_id, actor, action, note) values (%s, 'jansen', 'note', 'unmuted')", incident)
    scene.database.execute("update mobeye.incident set status = 'assigned', assigned_to = 'bakker' where incident_id = %s", incident)
    scene.database.execute("delete from mobeye.person where login = 'bakker'")
    notes = "return [...document.querySelectorAll('.history .note')].map(n => n.innerText)"
    screen = scene.screen("jansen", f"/incident/{incident}")
    screen.wait_text(".history", "persoon verwijderd")
    assert screen.js(notes) == ["persoon verwijderd", "unmuted", "demping afgelopen", "gedempt: hond", "demping opgeheven", "gedempt: hond"]
    screen.js("localStorage.setItem('language', 'en')")
    screen.open(f"/incident/{incident}")
    screen.wait_text(".history", "person removed")
    assert screen.js(notes) == ["person removed", "unmuted", "mute ended", "muted: hond", "unmuted", "muted: hond"]
