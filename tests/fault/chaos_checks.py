"""What must hold when everything is over, one function per guarantee."""


def none(database, what, sql):
    """No row has a forbidden result."""
    rows = database.rows(sql)
    assert not rows, f"{what}: {len(rows)}, among them {rows[:5]}"


def check_alerts(database, ledgers):
    """Exactly what was accepted is stored, once; a panel's alert is identified by its frame. A lost connection turns
    nothing into poison."""
    none(database, "in quarantine", "select source, event_id, sqlstate, reason from mobeye.quarantine")
    none(database, "an id of two devices", "select source, event_id from patrol.alerts where 'identity_conflict' = any(flags)")
    rows = database.rows("select source, coalesce(payload->>'frame', event_id) from patrol.alerts"
                         " where source not in ('/test/old', '/test/home', '/frigate/noord')")
    database.check(*ledgers, rows=rows)


def stored_of_cameras(database):
    """The ids of what the bridge sent, except for changes of an event: those in between may be left out."""
    return [row[0] for row in database.rows("select event_id from patrol.alerts where source = '/frigate/noord'"
                                            " and event_id !~ ':update:|line:|:image:end$'")]


def check_cameras(database, traffic):
    """Each event that Frigate knows is there with its start, end and image, once."""
    assert sorted(stored_of_cameras(database)) == sorted(traffic.wanted())
    none(database, "doubled", "select event_id from patrol.alerts where source = '/frigate/noord' group by 1 having count(*) > 1")
    none(database, "images that are not there",
         "select event_id from patrol.alerts where source = '/frigate/noord' and event_id like '%:image' and image_bytes is null")


def check_incidents(database):
    """Each alert is in one incident, which counted it, unless its rule or phase creates none; one incident per key
    accepts."""
    none(database, "raises without an incident", """
        select event_id, kind, rule from patrol.alerts
         where incident_id is null and phase = 'raise' and rule is distinct from 'signs-of-life' and source <> '/test/old'""")
    none(database, "signs of life in an incident", "select event_id from patrol.alerts where incident_id is not null and kind = 'keepalive'")
    none(database, "alerts of an incident that is not there", """
        select a.event_id, a.incident_id from mobeye.alert a left join mobeye.incident i using (incident_id)
         where a.incident_id is not null and i.incident_id is null""")
    none(database, "incidents that counted other alerts than they have", """
        select i.incident_id, i.device_id, i.rule, i.alert_count, count(a.event_id) from mobeye.incident i
          left join patrol.alerts a on a.incident_id = i.incident_id and a.phase = 'raise'
         group by i.incident_id having i.alert_count <> count(a.event_id)""")
    none(database, "keys that accept twice", "select incident_key from mobeye.incident where accepting group by 1 having count(*) > 1")


def check_changes(database):
    """Numbers from 1 without gaps, each once; including those of erased incidents, whose changes stay."""
    none(database, "changes without a number", "select entry from mobeye.change where change_id is null")
    none(database, "numbers given twice or never", """
        select n, count(c.change_id) from generate_series(1, (select value from mobeye.counter where name = 'changes')) as n
          left join mobeye.change c on c.change_id = n group by n having count(c.change_id) <> 1""")


def check_follower(database, follower):
    """The page has seen every change, each once and in order."""
    there = {number for number, in database.rows("select change_id from mobeye.change")}
    follower.wait(max(there))
    seen = follower.stop()
    assert there <= set(seen), f"changes that the page has not seen: {sorted(there - set(seen))[:5]}"
    assert list(seen) == sorted(set(seen)), "a change came twice, or before an earlier one"


def check_history(database):
    """Each step starts where the previous one ended, along a transition, and the last is the status of the incident."""
    none(database, "steps that do not follow from the one before", """
        select * from (select incident_id, entry, from_status,
                              lag(to_status, 1, 'new') over (partition by incident_id order by entry) as before
                         from mobeye.incident_history where action = 'status') as step
         where from_status <> before""")
    none(database, "steps that are not a transition", """
        select h.incident_id, h.from_status, h.to_status, h.actor from mobeye.incident_history h
         where h.action = 'status' and not (h.actor = 'mobeyed' and h.to_status = 'closed')
           and not exists (select from mobeye.transition t where (t.from_status, t.to_status) = (h.from_status, h.to_status))""")
    none(database, "incidents with another status than the last step", """
        select i.incident_id, i.status, h.to_status from mobeye.incident i
          left join lateral (select h.to_status, h.outcome from mobeye.incident_history h
                              where h.incident_id = i.incident_id and h.action = 'status' order by h.entry desc limit 1) as h on true
         where i.status <> coalesce(h.to_status, 'new') or i.status = 'closed' and i.outcome is distinct from h.outcome""")


def check_people(database, officers):
    """Each request that got 200 was done once under that name; beyond these only requests without a response were."""
    known = {number for number, in database.rows("select incident_id from mobeye.incident")}
    rows = database.rows("select actor, incident_id, action, count(*) from mobeye.incident_history"
                         " where actor <> 'mobeyed' and action in ('status', 'note', 'verified') group by 1, 2, 3")
    for officer in officers:
        entries = {(incident, action): count for actor, incident, action, count in rows if actor == officer.login}
        for incident, action in entries.keys() | officer.done.keys():
            done = officer.done[incident, action]
            most = done + officer.unknown[incident, action] + officer.unknown[None, action]
            assert incident not in known or done <= entries.get((incident, action), 0) <= most, (
                f"{officer.login}, {action} of incident {incident}: {done} to {most} times, the history has it "
                f"{entries.get((incident, action), 0)} times")
    assert {row[0] for row in rows} <= {officer.login for officer in officers}


def check_erased(database):
    """An erased home is not there."""
    assert database.value("select count(*) from patrol.alerts where source = '/test/home' or device_id = 'NL-home'") == 0
    assert database.value("select count(*) from mobeye.incident where device_id = 'NL-home'") == 0
