-- The queue, its order, mutes with both sides of each limit, and claim_next.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null

create temporary table made (name text primary key, id bigint);
create function queued(login text default 'postgres') returns text language sql as $$
    select as_login(login, 'select string_agg(name, '' '' order by place) from patrol.queue join made on id = incident_id')
$$;
create function put(name text, columns jsonb default '{}') returns void language sql as $$ insert into made values (name, make(columns)) $$;
grant select on made to public;

-- Order: live before delayed, then priority, then verified, then oldest.
select put('g', '{"delayed": true, "priority": 1, "verified_by": "person", "first_seen": "2020-01-01"}'),
       put('f', '{"priority": 3, "first_seen": "2020-01-01"}'), put('e', '{"priority": 2, "first_seen": "2026-01-02"}'),
       put('d', '{"priority": 2, "first_seen": "2026-01-01"}'), put('c', '{"priority": 2, "first_seen": "2026-03-01", "verified_by": "second_device"}'),
       put('b', '{"priority": 1, "first_seen": "2026-03-01"}'), put('a', '{"priority": 1, "first_seen": "2026-03-02", "verified_by": "second_input"}'),
       put('x-service', '{"category": "service"}'), put('x-closed', '{"status": "closed"}') \g /dev/null
select is(queued(), 'a b c d e f g', 'in the order in which a patrol takes them, open alarms alone');
select is(array(select incident_id from patrol.queue), array(select id from made where name < 'x' order by name), 'as they come out');
select results_eq('select place::integer from patrol.queue', 'select generate_series(1, 7)', 'with their places');
delete from mobeye.incident;
delete from made;
select put(status, jsonb_build_object('status', status)) from unnest(array['new', 'acknowledged', 'assigned', 'on_scene', 'closed', 'reopened']) as status \g /dev/null
select put('drill', '{"drill": true}') \g /dev/null
select is(queued(), 'new acknowledged assigned on_scene reopened drill', 'regardless of who has it, until it is closed; drills too');
delete from mobeye.incident;
delete from made;

-- Mutes: what they hide.
select put('open', '{"device_id": "open-1", "areas": ["wijk:WK1"]}'), put('stock', '{"device_id": "stock-1", "areas": ["wijk:WK2"]}'),
       put('panic', '{"device_id": "open-1", "kind": "panic", "urgent": true}') \g /dev/null
select patrol.mute('open-1', clock_timestamp() + interval '1 hour', 'op test') as mute \gset
select is(queued(), 'stock panic', 'a muted device is not queued; its panic is');
select results_eq($$select name, muted_until is not null from patrol.incidents join made on id = incident_id order by name$$,
                  $$values ('open', true), ('panic', false), ('stock', false)$$, 'and shown as muted');
select put('later', '{"device_id": "open-1"}') \g /dev/null
select is(queued(), 'stock panic', 'nor what comes while it is muted');
select results_eq($$select name, op from mobeye.change join made on id = incident_id$$, $$values ('open', 'mute')$$, 'a change of each that is concerned');
select results_eq($$select action, note from patrol.incident_history$$, $$values ('mute', 'muted: op test')$$, 'with the reason');
select patrol.unmute(:mute) \g /dev/null
select is(queued(), 'open stock panic later', 'unmuted: what is still active appears');
select throws_ok(format('select patrol.unmute(%s)', :mute), 'P0002', null, 'ended once');
select throws_ok('select patrol.unmute(null)', 'P0002', null, 'no mute at all');
select patrol.mute_area('wijk', 'WK2', clock_timestamp() + interval '1 hour', 'feest') \g /dev/null
select is(queued(), 'open panic later', 'a muted area');
update mobeye.mute set at = '2020-01-01', until = '2020-01-02';
select is(queued(), 'open stock panic later', 'a mute whose time is over hides nothing');
select results_eq('select distinct active from patrol.mutes', 'values (false)', 'and is not active');
update mobeye.mute set at = now() - interval '1 hour', until = now() where device_id is null;
select is(queued(), 'open stock panic later', 'at its end it is over');
update mobeye.mute set until = now() + interval '1 microsecond' where device_id is null;
select is(queued(), 'open panic later', 'and just before it is not');
delete from mobeye.mute;
delete from mobeye.incident;
delete from made;

-- What began and was restored under a mute does not appear when that ends; what began before does.
insert into mobeye.mute (device_id, placement_id, at, until, reason, muted_by)
select device_id, placement_id, '2026-01-01 10:00Z', '2026-01-01 12:00Z', 'x', 'x' from mobeye.placement where device_id = 'open-1';
select put('before', '{"created_at": "2026-01-01T09:59Z", "last_received_at": "2026-01-01T11:00Z", "restored_at": "2026-01-01T11:00Z", "restore_received_at": "2026-01-01T11:00Z"}'),
       put('stored late', '{"created_at": "2026-01-01T10:30Z", "first_received_at": "2026-01-01T09:59Z", "last_received_at": "2026-01-01T11:00Z", "restored_at": "2026-01-01T11:00Z", "restore_received_at": "2026-01-01T11:00Z"}'),
       put('during', '{"created_at": "2026-01-01T10:00Z", "last_received_at": "2026-01-01T13:00Z", "restored_at": "2026-01-01T11:00Z", "restore_received_at": "2026-01-01T11:00Z"}'),
       put('active', '{"created_at": "2026-01-01T10:00Z", "last_received_at": "2026-01-01T11:00Z"}'),
       put('urgent', '{"created_at": "2026-01-01T10:00Z", "last_received_at": "2026-01-01T11:00Z", "restored_at": "2026-01-01T11:00Z", "restore_received_at": "2026-01-01T11:00Z", "urgent": true}'),
       put('after', '{"created_at": "2026-01-01T10:00Z", "last_received_at": "2026-01-01T12:00Z", "restored_at": "2026-01-01T11:00Z", "restore_received_at": "2026-01-01T12:00Z"}') \g /dev/null
select is(queued(), 'before stored late active urgent after', 'what a mute has swallowed whole');
update mobeye.mute set ended_at = '2026-01-01 11:00Z', ended_by = 'x';
select is(queued(), 'before stored late during active urgent after', 'counts until the mute was ended');
delete from mobeye.mute;
delete from mobeye.incident;
delete from made;

-- A second device in an incident is not muted with the first.
select put('two') \g /dev/null
select patrol.mute('open-1', clock_timestamp() + interval '1 hour', 'op test') \g /dev/null
insert into mobeye.incident_condition (condition, incident_id, active, device_id, input) select gen_random_uuid(), id, true, 'open-1', n from made, generate_series(1, 2) n;
select is(queued(), null, 'two inputs of one device: muted');
insert into mobeye.incident_condition (condition, incident_id, active, device_id) select gen_random_uuid(), id, true, 'stock-1' from made;
select is(queued(), 'two', 'two devices: not');
select patrol.mute('stock-1', clock_timestamp() + interval '1 hour', 'op test') as second \gset
select is(queued(), null, 'each of the two: muted');
select patrol.unmute(:second) \g /dev/null
select is(queued(), 'two', 'one of them not any more');
select is((select array_agg(op order by entry) from mobeye.change join made on id = incident_id), '{mute,mute,mute}', 'each time that is a change of the incident');
delete from mobeye.mute;
insert into mobeye.mute (device_id, placement_id, at, until, reason, muted_by)
values ('open-1', (select placement_id from mobeye.placement where device_id = 'open-1'), '2026-01-01 10:00Z', '2026-01-01 12:00Z', 'x', 'x'),
    ('stock-1', null, '2026-01-01 10:00Z', '2026-01-01 11:30Z', 'x', 'x');
update mobeye.incident set created_at = '2026-01-01 10:30Z', first_received_at = '2026-01-01 10:30Z', active = 0, restored_at = '2026-01-01 11:00Z', restore_received_at = '2026-01-01 11:00Z', last_received_at = '2026-01-01 13:00Z';
select is(queued(), null, 'restored while each of them was muted');
update mobeye.incident set restored_at = '2026-01-01 11:45Z', restore_received_at = '2026-01-01 11:45Z';
select is(queued(), 'two', 'restored when one of them was not any more');
update mobeye.incident set restored_at = '2026-01-01 11:00Z', restore_received_at = '2026-01-01 11:00Z';
update mobeye.mute set until = '2026-01-01 10:40Z' where device_id = 'stock-1';
insert into mobeye.mute (device_id, at, until, reason, muted_by) values ('stock-1', '2026-01-01 10:50Z', '2026-01-01 12:00Z', 'x', 'x');
select is(queued(), 'two', 'muted at its beginning and at its end, but not in between');
update mobeye.mute set until = '2026-01-01 11:01Z' where at = '2026-01-01 10:00Z' and device_id = 'stock-1';
select is(queued(), null, 'muted in between');
update mobeye.mute set at = '2026-01-01 10:40Z', incident_id = (select id from made) where device_id = 'open-1';
select is(queued(), null, 'muted until it is restored, when the other device was muted already');
delete from mobeye.mute where device_id = 'stock-1' and at < '2026-01-01 10:50Z';
select is(queued(), 'two', 'before the other device was');
update mobeye.mute set at = '2026-01-01 10:00Z', until = '2026-01-01 12:00Z', incident_id = null;
update mobeye.incident set restored_at = '2026-01-01 11:45Z', restore_received_at = '2026-01-01 11:45Z';
insert into mobeye.placement (device_id, during, geom) values ('stock-1', '[2025-01-01,2025-02-01)', 'SRID=4326;POINT(5.3601 52.1502)');
update mobeye.mute set until = '2026-01-01 12:00Z';
update mobeye.incident_condition set since = '2025-01-15' where device_id = 'stock-1';
select is(queued(), 'two', 'a mute is not of where the device stood before');
delete from mobeye.placement where device_id = 'stock-1';
delete from mobeye.incident;
delete from mobeye.mute;
delete from made;

-- Limits of mutes.
select throws_ok(format('select patrol.mute(''open-1'', %s, ''x'')', until), '22023', null, 'no mute until ' || until)
  from unnest(array['null', 'clock_timestamp() - interval ''1 second''', 'clock_timestamp()', '''infinity''', '''-infinity''', 'clock_timestamp() + interval ''367 days''']) as until;
select lives_ok(format('select patrol.mute(''open-1'', %s, ''x'')', until), 'a mute until ' || until)
  from unnest(array['clock_timestamp() + interval ''1 second''', 'clock_timestamp() + interval ''366 days''']) as until;
select throws_like(format('select patrol.mute(''open-1'', clock_timestamp() + interval ''1 hour'', %L)', reason), 'the reason: is missing%', 'no mute without a reason') from unnest(array['', ' ', null]) as reason;
select throws_ok(format('select patrol.mute(%L, clock_timestamp() + interval ''1 hour'', ''x'')', device), 'P0002', null, 'no such device') from unnest(array['nope', '', null]) as device;
select throws_ok(format('select patrol.mute_area(%L, %L, clock_timestamp() + interval ''1 hour'', ''x'')', layer, code), 'P0002', null, 'no such area')
  from (values ('wijk', 'WK9'), ('buurt', 'WK1'), (null, 'WK1'), ('wijk', null)) as l(layer, code);
select make('{"device_id": "dc09:1234"}') \g /dev/null
select lives_ok($$select patrol.mute('dc09:1234', clock_timestamp() + interval '1 hour', 'x')$$, 'one that reported and is not registered can be muted');
delete from mobeye.mute;
delete from mobeye.incident;

-- claim_next.
select is(patrol.claim_next('noord', 'jan'), null, 'nothing to take');
select put('1 assigned', '{"priority": 1, "team": "noord", "status": "assigned"}'), put('2 other', '{"priority": 1, "team": "zuid"}'),
       put('3 free', '{"areas": ["wijk:WK1"], "priority": 2}'), put('4 own', '{"team": "noord", "priority": 3, "status": "acknowledged"}'),
       put('5 elsewhere', '{"areas": ["wijk:WK2"], "priority": 3}'), put('6 nowhere', '{"areas": ["wijk:WK9"], "priority": 4}'),
       put('7 service', '{"team": "noord", "category": "service"}'), put('8 scene', '{"team": "noord", "status": "on_scene"}'),
       put('9 reopened', '{"team": "noord", "status": "reopened", "priority": 5}') \g /dev/null
create function claim(login text, team text) returns text language plpgsql as $$
declare
    taken bigint := as_login(login, format('select patrol.claim_next(%L, ''wagen 1'')', team));
begin
    return (select name from made where id = taken);
end
$$;
select is(claim('t_jan', 'noord'), wanted, 'the team takes ' || coalesce(wanted, 'nothing more'))
  from (values ('3 free'), ('4 own'), ('6 nowhere'), ('9 reopened'), (null)) as w(wanted);
select results_eq($$select name, assigned_to, team, status from mobeye.incident join made on id = incident_id where name in ('3 free', '6 nowhere') order by 1$$,
                  $$values ('3 free', 'wagen 1', 'noord', 'assigned'), ('6 nowhere', 'wagen 1', 'noord', 'assigned')$$, 'and has it then');
select is(claim('t_fee', 'zuid'), '2 other', 'a control room takes for any');
select put('control room', '{"team": "zuid"}') \g /dev/null
select is(claim('t_fee', null), wanted, 'and of any team or none') from (values ('control room'), ('5 elsewhere'), (null)) as w(wanted);
select results_eq($$select name, team from mobeye.incident join made on id = incident_id where name in ('control room', '5 elsewhere') order by 1$$,
                  $$values ('5 elsewhere', null), ('control room', 'zuid')$$, 'which it stays with');
select throws_ok($$select claim('t_jan', 'zuid')$$, '42501', null, 'nobody takes for another team');
select throws_ok($$select patrol.claim_next('nord', 'x')$$, '22023', null, 'nor for one that is not there');
select throws_like($$select patrol.claim_next('nord', 'x')$$, 'team "nord" does not exist', 'and says so');
select throws_ok(format('select patrol.claim_next(%L, %L)', team, officer), '22023', null, 'takes for somebody')
  from (values ('noord', ''), ('noord', null), ('', 'x')) as c(team, officer);
select throws_ok($$select claim('t_jan', null)$$, '22023', null, 'takes of any team');
select put('muted', '{"team": "noord"}') \g /dev/null
select patrol.mute('open-1', clock_timestamp() + interval '1 hour', 'op test') \g /dev/null
select is(claim('t_jan', 'noord'), null, 'what is muted is not taken');

-- An incident of no team whose next fix is elsewhere: those who saw it where it was are told too.
delete from mobeye.change;
select put('by a fix', '{"device_id": "stock-1", "areas": ["wijk:WK9"]}') \g /dev/null
create function heard(login text) returns text language sql as $$
    select as_login(login, 'select concat((select count(*) from patrol.changes join made on id = incident_id where name = ''by a fix''), '' of '',
                                          (select count(*) from patrol.queue join made on id = incident_id where name = ''by a fix''))')
$$;
select is(heard(login), '0 of 1', login || ' sees what lies in no team''s area') from unnest(array['t_jan', 't_piet']) as login;
update mobeye.incident set areas = '{wijk:WK1}' where incident_id = (select id from made where name = 'by a fix');
select mobeye.number_changes() \g /dev/null
select is(heard('t_jan'), '1 of 1', 'the team in whose area it lies sees it still');
select is(heard('t_piet'), '1 of 0', 'another one does not, and reads that it has left its sight');
update mobeye.incident set areas = '{wijk:WK2,buurt:BU2}' where incident_id = (select id from made where name = 'by a fix');
update mobeye.incident set areas = areas, last_seen = now(), team = 'noord' where incident_id = (select id from made where name = 'by a fix');
select mobeye.number_changes() \g /dev/null
select is(heard('t_jan'), '2 of 1', 'a change of its areas is one, for each who saw it before or sees it after');
select is(as_login('t_gast', 'select count(*) from patrol.changes'), '0', 'and for nobody else');
delete from mobeye.incident where incident_id = (select id from made where name = 'by a fix');

-- Places on the map: invalid boxes and circles, and both sides of the limits.
select throws_ok(format('select patrol.incidents_geojson(%s)', box), '22023', null, 'no box: ' || box)
  from unnest(array['1, 1, 0, 2', '0, 2, 1, 1', '-180.1, 0, 0, 1', '0, 0, 180.1, 1', '0, -90.1, 1, 0', '0, 0, 1, 90.1', 'null, 0, 1, 1', '''nan'', 0, 1, 1']) as box;
select is(patrol.incidents_geojson(-180, -90, -180, -90), '{"type": "FeatureCollection", "features": []}', 'nothing there: an empty collection');
select throws_ok(format('select patrol.history_at(%s)', circle), '22023', null, 'no circle: ' || circle)
  from unnest(array['5, 52, 0', '5, 52, 5001', '181, 52, 5', '5, 86, 5', 'null, 52, 5', '5, 52, null']) as circle;
select lives_ok(format('select patrol.history_at(%s)', circle), 'a circle: ' || circle) from unnest(array['5, 52, 1', '5, 52, 5000', '-180, -85, 5']) as circle;
select is((select count(*)::integer from patrol.history_at(5.3601, 52.1501, 1) where distance_m = 0), (select count(*)::integer from mobeye.incident where device_id = 'open-1'), 'all that was there');
select is((select jsonb_array_length(patrol.incidents_geojson(5.3601, 52.1501, 5.3601, 52.1501) -> 'features')), (select count(*)::integer from mobeye.incident where status <> 'closed'), 'on the edge is in');
select is(patrol.incidents_geojson(5, 52, 6, 53) #> '{features,0}' ->> 'type', 'Feature', 'a feature');
select is(patrol.incidents_geojson(5, 52, 6, 53) #> '{features,0,geometry}', '{"type": "Point", "coordinates": [5.3601, 52.1501]}', 'longitude first');

-- The check point of the municipality, the reference, and the district by name.
select put('liendert', '{"geom": "SRID=4326;POINT(5.40168265 52.16646193)", "created_at": "2026-12-31T23:30:00Z", "incident_id": 4711}') \g /dev/null
select put('million', '{"created_at": "2026-12-31T22:30:00Z", "incident_id": 12345678, "geom": "SRID=4326;POINT(-170 80)"}') \g /dev/null
select results_eq($$select reference, abs(rd_x - 155990.61) < 0.3, abs(rd_y - 464256.19) < 0.3, wijk_code, wijk_name, buurt_code from patrol.incidents where incident_id = 4711$$,
                  $$values ('2027-004711', true, true, 'WK1', 'Wijk 1', 'BU1')$$, 'RD New within 0.3 m; the year is that of Amsterdam');
select results_eq($$select reference, rd_x, st_x(geom) from patrol.incidents where incident_id = 12345678$$, $$values ('2026-12345678', null::float8, -170::float8)$$,
                  'a long number is not cut; RD New has no meaning everywhere');
insert into mobeye.area (layer, code, name, vintage, valid, geom)
select 'wijk', 'WK1', 'Oud ' || v, v, tstzrange(make_timestamptz(v, 1, 1, 0, 0, 0), case v when 2018 then '2022-01-01'::timestamptz end), geom
  from mobeye.area, unnest(array[2018, 2022]) as v where code = 'WK1' and vintage is null;
delete from mobeye.area where code = 'WK1' and vintage is null;
update mobeye.incident set first_seen = '2020-01-01' where incident_id = 4711;
select results_eq($$select wijk_name from patrol.incidents where incident_id in (4711, 12345678) order by 1$$, $$values ('Oud 2018'), ('Oud 2022')$$, 'the name of the vintage of then');

select * from finish();
rollback;
