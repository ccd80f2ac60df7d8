-- What was stored as secret stays secret, whatever happens to the device, the placement and the team.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null

-- Alerts as the daemon stores them: from a device where it is, or was.
create function store(device text, event text, fix geometry default null, source text default 'placement', at timestamptz default now(), incident bigint default null)
returns void language sql as $$
    insert into mobeye.alert_decoded (class, occurred_at, received_at, source, event_id, instance, journal_seq, endpoint, device_id, kind, phase, drill, flags, geom,
                              accuracy_m, location_source, incident_id, placement_id, team, secret, payload)
    select 'alarm', at, at, '/x', event, 'i', 1, 'e', device, 'arm', 'raise', false, '{}', coalesce(fix, p.geom), 5, source, incident,
           p.placement_id, p.team, coalesce(p.secret, false), '{}'
      from (values (1)) one left join mobeye.placement p on p.device_id = device and p.during @> at
$$;
create function exact(login text, event text) returns text language sql as $$
    select as_login(login, format('select event_id is not null from patrol.alerts where journal_seq = 1 and received_at = %L',
                                  (select received_at from mobeye.alert where event_id = event)))
$$;
create function cells(login text) returns text language sql as $$
    select as_login(login, 'select count(distinct geom) from patrol.alerts where event_id is null')
$$;

-- One cell per home, however many fixes there are.
select store('geheim-1', 'fix ' || n, st_setsrid(st_makepoint(5.3702 + n * 0.0001, 52.1602 + n * 0.0001), 4326), 'message', now() - n * interval '1 second')
  from generate_series(1, 40) as n \g /dev/null
select is(cells(login), '1', login || ' sees one cell for forty fixes') from unnest(array['t_fee', 't_anna']) as login;
select is(as_login('t_fee', 'select st_astext(geom, 6) from patrol.alerts where event_id is null limit 1'), st_astext(p.cell, 6), 'that of the placement')
  from mobeye.placement p where device_id = 'geheim-1';
select make(jsonb_build_object('device_id', 'geheim-1', 'team', 'noord', 'geom', 'SRID=4326;POINT(5.3742 52.1642)', 'location_source', 'message')) as far \gset
select is(as_login('t_fee', format('select st_astext(geom, 6) from patrol.incidents where incident_id = %s', :far)), st_astext(p.cell, 6), 'an incident too')
  from mobeye.placement p where device_id = 'geheim-1';
select ok(as_login('t_fee', format('select exists (select from patrol.history_at(%s, %s, 5) where incident_id = %s)', st_x(p.cell), st_y(p.cell), :far))::boolean,
          'found at its cell, though its fix lies far from it')
  from mobeye.placement p where device_id = 'geheim-1';

-- A condition on hidden data reveals nothing, not even how many rows it examined.
create function explained(login text, device text) returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    perform set_config('session_authorization', login, true);
    for line in execute format('explain (analyze, timing off, summary off) select * from patrol.alerts where device_id = %L', device) loop
        plan := plan || replace(line, device, 'X') || E'\n';
    end loop;
    perform set_config('session_authorization', 'postgres', true);
    return plan;
end
$$;
analyze mobeye.alert;
select is(explained('t_fee', 'geheim-1'), explained('t_fee', 'geheim-X'), 'the plan of a hidden device is that of one that does not exist');
select is(as_login('t_fee', 'select count(*) from patrol.alerts_of(''geheim-1'', now() - interval ''1 day'', now() + interval ''1 day'')'), '0', 'nor does the function tell');
select is(as_login('t_jan', 'select count(*) from patrol.alerts_of(''geheim-1'', now() - interval ''1 day'', now() + interval ''1 day'')'), '40', 'but to its team');

-- Retrieved, moved from an earlier time, renamed, its device deleted: it stays as it was stored.
select store('geheim-1', 'before', at => now() - interval '1 hour') \g /dev/null
select as_login('t_rik', 'select mobeye.device_retrieve(''geheim-1'')') \g /dev/null
select is(exact('t_fee', 'before'), 'false', 'retrieved');
select is(exact('t_jan', 'before'), 'true', 'and its team still sees it');
select throws_ok($$select as_login('t_rik', 'delete from mobeye.placement where device_id = ''geheim-1'' returning 1')$$, '55006', null, 'a placement that incidents name is not deleted');
select throws_ok($$select as_login('t_rik', 'delete from mobeye.device where device_id = ''geheim-1'' returning 1')$$, '55006', null, 'nor with its device');
select as_login('t_rik', 'update mobeye.device set device_id = ''anders-1'' where device_id = ''geheim-1'' returning 1') \g /dev/null
select is(exact('t_fee', 'before'), 'false', 'renamed');
select is(as_login('t_fee', format('select coarse from patrol.incidents where incident_id = %s', :far)), 'true', 'its incident as well');
delete from mobeye.device where device_id = 'anders-1';
select is(exact('t_fee', 'before'), 'false', 'deleted by the owner');
select is(as_login('t_fee', 'select count(geom) from patrol.alerts where event_id is null'), '0', 'and then there is no place to show at all');

-- What becomes secret later makes stored ones secret, under the earlier name too, and places that came from it.
create function muted(login text) returns text language sql as $$
    select as_login(login, 'select string_agg(device_id || '' '' || reason, '', '' order by mute_id) from patrol.mutes where layer is null')
$$;
select as_login('t_jan', 'select patrol.mute(''open-1'', now() + interval ''1 day'', ''proef'')') \g /dev/null
select is(muted('t_fee'), 'open-1 proef', 'the mute is plain');
select store('open-1', 'o1'), store('open-1', 'o2', at => now() - interval '2500 ms', incident => make()) \g /dev/null
select as_login('t_rik', 'update mobeye.device set device_id = ''open-2'' where device_id = ''open-1'' returning 1') \g /dev/null
select store('open-2', 'o3', at => now() - interval '1500 ms') \g /dev/null
-- A message may contain a fix from the secret home of another team, where its device was before.
insert into mobeye.device (device_id) values ('later-1');
insert into mobeye.placement (device_id, during, geom, team) values ('later-1', '[2020-01-01,)', 'SRID=4326;POINT(5.39 52.15)', 'zuid');
select make(jsonb_build_object('device_id', 'later-1', 'team', 'zuid')) as later \gset
select store('later-1', 'old fix', at => first_seen, incident => :later) from mobeye.incident where incident_id = :later \g /dev/null
update mobeye.alert set secret = true, payload = '{"data": {"text": "achter", "location": {"coordinates": [5.3702, 52.1602]}}}' where event_id = 'old fix';
select is(as_login('t_piet', 'select payload from patrol.alerts where event_id = ''old fix'''), '{"data": {"text": "achter"}}', 'a view leaves it out');
select is(as_login('t_piet', 'select payload from patrol.alerts_of(''later-1'', ''-infinity'', ''infinity'')'), '{"data": {"text": "achter"}}', 'so does the list of a device');
select is(as_login('t_piet', format('select alerts -> 0 -> ''payload'' from patrol.open_incident(%s, ''x'')', :later)), '{"data": {"text": "achter"}}', 'and the incident');
select matches(payload::text, 'location', 'the owner sees it') from patrol.alerts where event_id = 'old fix';
update mobeye.alert set location_source = 1 where event_id = 'old fix';
select matches(as_login('t_piet', 'select payload from patrol.alerts where event_id = ''old fix'''), 'location', 'a fix that is the place of the alert stays');

-- It was elsewhere until now, and on the following day was located by the fix from there.
insert into mobeye.device (device_id) values ('weg-1');
insert into mobeye.placement (device_id, during, geom, team) values ('weg-1', tstzrange('2020-01-01', now() - interval '3 hours'), 'SRID=4326;POINT(5.3601 52.1501)', 'noord');
select store('weg-1', 'w1', 'SRID=4326;POINT(5.3601 52.1501)', 'last_known', now() - interval '2 hours'), store('weg-1', 'w2', 'SRID=4326;POINT(5.39 52.15)', 'message', now() - interval '90 minutes'),
       store('weg-1', 'w0', 'SRID=4326;POINT(5.3601 52.1501)', 'message', now() - interval '175 minutes'),
       store('weg-1', 'w3', 'SRID=4326;POINT(5.3651 52.1501)', 'message', now() - interval '176 minutes') \g /dev/null
select make(jsonb_build_object('device_id', 'weg-1', 'first_seen', now() - interval '174 minutes', 'location_source', 'message', 'geom', 'SRID=4326;POINT(5.3651 52.1501)')) as farther \gset
select make(jsonb_build_object('device_id', 'weg-1', 'first_seen', now() - interval '173 minutes', 'location_source', 'message', 'geom', 'SRID=4326;POINT(5.3601 52.1501)')) as nearer \gset
update mobeye.incident set placement_id = null, device_placement_id = null where incident_id in (:farther, :nearer);
insert into mobeye.device_status values ('open-2', true, now(), now(), now(), 'e', '/x', 'arm', null, null, 'SRID=4326;POINT(5.3601 52.1501)', 5, now());
select is(exact('t_fee', event), 'true', event || ' is plain') from unnest(array['o1', 'o2', 'o3']) as event;
select as_login('t_rik', 'update mobeye.placement set secret = true where device_id = ''open-2'' returning 1') \g /dev/null
select is(exact('t_fee', event), 'false', event || ' has become secret') from unnest(array['o1', 'o2', 'o3']) as event;
select is(exact('t_fee', event), 'true', event || ' is plain') from unnest(array['w0', 'w1', 'w2']) as event;
select as_login('t_rik', 'update mobeye.placement set secret = true where device_id = ''weg-1'' returning 1') \g /dev/null
select is(exact('t_fee', event), 'false', 'what was placed by a fix from there has become secret too: ' || event) from unnest(array['w0', 'w1']) as event;
select is(exact('t_fee', event), 'true', 'and nothing that the device said of another place: ' || event) from unnest(array['w2', 'w3']) as event;
select is(array_agg(incident_id order by incident_id), array[:nearer]::bigint[], 'nor an incident there') from mobeye.incident where incident_id in (:farther, :nearer) and secret;
select is(exact('t_jan', event), 'true', 'not to its team') from unnest(array['o1', 'o2', 'o3']) as event;
select is(muted(login), wanted, login || ' and the mute') from (values ('t_fee', null), ('t_piet', null), ('t_jan', 'open-1 proef')) as w(login, wanted);
select is((select bool_and(i.secret and secret_team = 'noord' and cell is not null) from mobeye.incident i join mobeye.alert using (incident_id) where event_id = 'o2'), true, 'and its incident');
select is((select fix from mobeye.device_status where device_id = 'open-2'), null, 'the last fix is forgotten');

-- Stored at the placement, though its period has been corrected since; no fix of the time before tells a district of its own.
insert into mobeye.device (device_id) values ('verzet-1');
insert into mobeye.placement (device_id, during, geom, team) values ('verzet-1', tstzrange(now() - interval '6 days', null), 'SRID=4326;POINT(5.3999 52.1502)', 'noord');
select store('verzet-1', 'day ' || n, at => now() - n * interval '1 day') from generate_series(1, 5) as n \g /dev/null
select make('{"device_id": "verzet-1", "team": "noord", "geom": "SRID=4326;POINT(5.4001 52.1502)", "areas": ["wijk:WK2"]}') as by_fix \gset
select store('verzet-1', 'by a fix', 'SRID=4326;POINT(5.4001 52.1502)', 'message', incident => :by_fix) \g /dev/null
update mobeye.alert set wijk_code = 'WK2' where event_id = 'by a fix';
select as_login('t_rik', 'update mobeye.placement_edit set placed_from = now() - interval ''84 hours'' where device_id = ''verzet-1'' returning 1') \g /dev/null
select as_login('t_rik', 'update mobeye.placement_edit set secret = true where device_id = ''verzet-1'' returning 1') \g /dev/null
select is(exact('t_fee', 'day ' || n), 'false', 'day ' || n || ' has become secret') from generate_series(1, 5) as n;
select is((select wijk_code from mobeye.alert where event_id = 'by a fix'), 'WK1', 'the district is that of the placement');
select is((select areas from mobeye.incident where incident_id = :by_fix), '{wijk:WK1}', 'of the incident too');

-- Its alerts are past their retention, and it began before the placement was entered.
insert into mobeye.device (device_id) values ('laat-1');
select make('{"device_id": "laat-1", "team": "noord", "geom": "SRID=4326;POINT(5.4001 52.1502)", "location_source": "message"}') as late \gset
select make(jsonb_build_object('device_id', 'laat-1', 'first_seen', now() - interval '2 days')) as elsewhere \gset
insert into mobeye.placement (device_id, during, geom, team) values ('laat-1', tstzrange(now() - interval '1 day', null), 'SRID=4326;POINT(5.3999 52.1502)', 'noord');
select as_login('t_rik', 'update mobeye.placement_edit set secret = true where device_id = ''laat-1'' returning 1') \g /dev/null
select is((select row(secret, secret_team, areas)::text from mobeye.incident where incident_id = :late), '(t,noord,{wijk:WK1})', 'an incident without alerts becomes secret too');
select is((select secret from mobeye.incident where incident_id = :elsewhere), false, 'but not one of another time');

-- Nor is a placement deleted at which an alert is stored: its address would no longer lead to it. That a set was alive is not a reason.
insert into mobeye.device (device_id) values ('fout-1');
insert into mobeye.placement (device_id, during, geom) values ('fout-1', tstzrange(now() - interval '1 hour', null), 'SRID=4326;POINT(5.36 52.15)');
select store('fout-1', 'fout', at => now() - interval '1 minute') \g /dev/null
select throws_ok(format('select as_login(''t_rik'', %L)', call), '55006', null, 'refused: ' || call)
  from unnest(array['delete from mobeye.placement where device_id = ''fout-1'' returning 1', 'select mobeye.device_undo(''fout-1'')',
                    'delete from mobeye.device where device_id = ''fout-1'' returning 1']) as call;
update mobeye.alert set kind = array_position('{unknown,intrusion,motion,panic,holdup,tamper,fire,heat,cold,water,camera,power,battery,comms,keepalive}', 'keepalive') - 1
 where event_id = 'fout';
select is(as_login('t_rik', 'delete from mobeye.placement where device_id = ''fout-1'' returning device_id'), 'fout-1', 'a keepalive alone keeps none');

-- The reverse requires the owner.
select as_login('t_rik', 'update mobeye.placement set secret = false where device_id = ''open-2'' returning 1') \g /dev/null
select is(exact('t_fee', 'o2'), 'false', 'a placement that is secret no longer reveals nothing that was stored');
select throws_ok(format($$select as_login(%L, 'select mobeye.reveal(1, ''x'')')$$, login), '42501', null, login || ' reveals nothing') from unnest(array['t_rik', 't_jan', 't_anna', 'mobeye_ingest']) as login;
select incident_id as revealed from mobeye.alert where event_id = 'o2' \gset
select throws_ok(format('select mobeye.reveal(%s, ''  '')', :revealed), '22023', null, 'not without a reason');
select as_login('t_baas', format('select mobeye.reveal(%s, ''verhuisd, zaak 12'')', :revealed)) \g /dev/null
select is(exact('t_fee', 'o2'), 'true', 'the owner does');
select is(exact('t_fee', 'o1'), 'false', 'of that incident alone');
select results_eq(format('select actor, action, note from mobeye.incident_history where incident_id = %s and action = ''reveal''', :revealed),
                  $$values ('t_baas', 'reveal', 'verhuisd, zaak 12')$$, 'and it is recorded');
select as_login('t_rik', 'update mobeye.placement set secret = true where device_id = ''open-2'' returning 1') \g /dev/null
select is(exact('t_fee', 'o2'), 'false', 'what becomes secret again is');
select is(array_agg(action order by entry), '{reveal,hide}', 'which is recorded too')
  from mobeye.incident_history where incident_id = :revealed and action in ('reveal', 'hide');
select as_login('t_baas', format('select mobeye.reveal(%s, ''toch'')', :revealed)) \g /dev/null
update mobeye.placement set instructions = 'bel niet' where device_id = 'open-2';
select as_login('t_rik', 'select mobeye.device_retrieve(''open-2'')') \g /dev/null
select mobeye.hide_late() \g /dev/null
select is(exact('t_fee', 'o2'), 'true', 'and revealed again, it stays so when the set is retrieved');
select is(as_login('t_fee', format('select coarse from patrol.incidents where incident_id = %s', :revealed)), 'false', 'the incident too');
select is(exact('t_fee', 'o1'), 'false', 'still of that incident alone');
update mobeye.device set device_id = 'open-9' where device_id = 'open-2';
select is(exact('t_fee', 'o2'), 'true', 'nor does it change when the set is renamed');
insert into mobeye.device (device_id) values ('open-91');
update mobeye.device d set device_id = n.name from (values ('open-9', 'open-2'), ('open-91', 'open-9')) n (was, name) where d.device_id = n.was;
select is(exact('t_fee', 'o2'), 'true', 'nor when another set gets its name at the same time');

-- Alerts without an incident belong to their placement's team, else to their areas of every layer.
insert into mobeye.team_area values ('zuid', 'beat', 'B7');
insert into mobeye.alert_decoded (class, occurred_at, received_at, source, event_id, instance, journal_seq, endpoint, device_id, kind, phase, drill, flags, location_source, team, areas, payload)
select 'alarm', now(), now() + n * interval '1 ms', '/x', name, 'i', 2, 'e', 'd', 'arm', 'raise', false, '{}', 'none', team, areas, '{}'
  from (values (1, 'of noord', 'noord', null::text[]), (2, 'in the beat', null, '{beat:B7}'), (3, 'in noord''s wijk', null, '{beat:B9,wijk:WK1}'), (4, 'nowhere', null, '{wijk:WK9}'))
       as v(n, name, team, areas);
select is(as_login(login, 'select string_agg(event_id, '', '' order by received_at) from patrol.alerts where journal_seq = 2'), wanted, login || ' sees alerts without an incident')
  from (values ('t_jan', 'of noord, in noord''s wijk, nowhere'), ('t_piet', 'in the beat, nowhere'), ('t_fee', 'of noord, in the beat, in noord''s wijk, nowhere'),
               ('t_gast', null), ('t_leeg', null)) as w(login, wanted);

-- Teams: a rename is one operation; a deleted team is not a team.
select make('{"team": "noord"}') as ours, make('{"team": "zuid", "areas": ["wijk:WK2"]}') as theirs \gset
insert into mobeye.change (change_id, incident_id, op, status, priority, category, moved, team_before) values (-1, :theirs, 'status', 'new', 2, 'alarm', true, 'noord');
select as_login('t_jan', 'select patrol.mute_area(''wijk'', ''WK1'', now() + interval ''1 day'', ''feest'')') \g /dev/null
update mobeye.mute set at = at - interval '1 hour';
update mobeye.team set team = 'noordwest' where team = 'noord';
select is(as_login('t_jan', format('select team from patrol.incidents where incident_id = %s', :ours)), 'noordwest', 'a renamed team keeps its incidents');
select is(exact('t_jan', 'o1'), 'true', 'and its secrets');
select is(as_login('t_jan', 'select string_agg(event_id, '', '') from patrol.alerts where event_id = ''of noord'''), 'of noord', 'and its alerts');
select is((select team from mobeye.placement where device_id = 'open-2'), 'noordwest', 'and its placements');
select is(muted('t_jan'), 'open-1 proef', 'and its mutes');
select is((select team from mobeye.active_mute where area is not null), 'noordwest', 'those of areas as well');
select is(as_login('t_jan', 'select count(*) from patrol.changes where change_id = -1'), '1', 'and what was given to another team');
select throws_ok($$select as_login('t_rik', 'update mobeye.placement set team = ''nord'' where device_id = ''open-2'' returning 1')$$, '23503', null, 'a team that does not exist has no placement');
delete from mobeye.team where team = 'noordwest';
select is(as_login('t_jan', 'select count(*) from patrol.incidents'), '0', 'whose team is gone sees nothing');
select is(as_login('t_jan', 'select count(*) from patrol.' || view), '0', 'nor ' || view) from unnest(array['alerts', 'queue', 'changes', 'incident_history', 'devices']) as view;
select is((select team from mobeye.incident where incident_id = :ours), null, 'and its incidents are nobody''s');
select is(exact('t_fee', 'o1'), 'false', 'what was its secret stays secret');
select is(muted('t_fee'), null, 'its mute too');
select is((select string_agg(area, ', ') from mobeye.active_mute), null, 'no area is muted any longer: without a team a mute would be for all teams');

-- A person who leaves, and another who gets the login.
insert into mobeye.person values ('t_gast', 'Gast', 'zuid', false);
select make('{"team": "west", "device_id": "geheim-0", "status": "assigned", "assigned_to": "t_gast"}') as given,
       make('{"team": "west", "device_id": "geheim-0", "status": "on_scene", "assigned_to": "t_gast", "on_scene_at": "2026-01-01Z"}') as there,
       make('{"team": "west", "device_id": "geheim-0", "status": "closed", "assigned_to": "t_gast", "on_scene_at": "2026-01-01Z"}') as done \gset
insert into mobeye.change (change_id, incident_id, op, status, priority, category, moved, team_before, assigned_before) values (-2, :given, 'status', 'new', 2, 'alarm', true, 'west', 't_gast');
create function gasts() returns text language sql as $$
    select as_login('t_gast', 'select concat((select string_agg(address, '', '') from patrol.incidents where team = ''west''), '' '',
                                             (select count(*) from patrol.changes c where c.change_id = -2))')
$$;
select is(gasts(), 'Geheim 0, Geheim 0, Geheim 0 1', 'an officer sees the secret homes to which they were sent');
delete from mobeye.person where login = 't_gast';
insert into mobeye.person values ('t_gast', 'Nieuwe Gast', 'zuid', false);
select mobeye.number_changes() \g /dev/null
select is(gasts(), ' 0', 'who gets the login of one who left does not');
select results_eq(format('select status, assigned_to, on_scene_at is null from mobeye.incident where incident_id in (%s, %s, %s) order by incident_id', :given, :there, :done),
                  $$values ('acknowledged', null, true), ('acknowledged', null, true), ('closed', null, false)$$, 'what was assigned to them is released');
select results_eq(format('select incident_id, from_status, to_status, note from mobeye.incident_history where incident_id in (%s, %s, %s) order by entry', :given, :there, :done),
                  format($$values (%s::bigint, 'assigned', 'acknowledged', 'person removed'), (%s, 'on_scene', 'acknowledged', 'person removed')$$, :given, :there), 'as its history tells');
select is(count(*), 2::bigint, 'and its changes') from mobeye.change where incident_id in (:given, :there) and change_id > 0 and op = 'status';

select * from finish();
rollback;
