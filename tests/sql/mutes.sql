-- What a mute applies to, and how it ends.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null

create temporary table made (name text primary key, id bigint);
grant select on made to public;
create function put(name text, columns jsonb) returns void language sql as $$ insert into made values (name, make(columns)) $$;
create function queued(login text) returns text language sql as $$
    select as_login(login, 'select string_agg(name, '' '' order by name) from patrol.queue join made on id = incident_id')
$$;
create function mute(login text, call text) returns text language sql as $$ select as_login(login, 'select patrol.' || call) $$;

-- Verified or assigned incidents are never muted, nor those of other teams.
select put('plain', '{"team": "noord"}'), put('verified', '{"team": "noord", "verified_by": "second_input"}'), put('taken', '{"team": "noord", "status": "assigned", "assigned_to": "t_jan"}'),
       put('panic', '{"team": "noord", "urgent": true}'), put('theirs', '{"team": "zuid"}'), put('nobodys', '{}') \g /dev/null
select mute('t_jan', 'mute_area(''wijk'', ''WK1'', now() + interval ''1 hour'', ''feest'')') as area \gset
select is(queued('t_fee'), 'panic taken theirs verified', 'an area mute concerns the muter''s team and what is nobody''s');
select is(as_login(login, 'select reason from patrol.mutes'), wanted, login || ' reads why an area is muted')
  from (values ('t_jan', 'feest'), ('t_piet', 'feest'), ('t_fee', 'feest'), ('t_leeg', null), ('t_gast', null)) as w(login, wanted);
select throws_ok(format($$select mute('t_piet', 'unmute(%s)')$$, :area), '42501', null, 'another team ends no mute of an area that is not its own');
select mute('t_jan', format('unmute(%s)', :area)) \g /dev/null
select mute('t_fee', 'mute_area(''wijk'', ''WK1'', now() + interval ''1 hour'', ''feest'')') as area \gset
select is(queued('t_fee'), 'panic taken verified', 'a control room''s concerns all teams');
select mute('t_fee', format('unmute(%s)', :area)) \g /dev/null

-- It ends with the placement, and does not apply to the next home.
select mute('t_jan', 'mute(''open-1'', now() + interval ''1 day'', ''proef in Open 1'')') as device \gset
select is(queued('t_fee'), 'panic taken verified', 'the device is muted where it stands');
select throws_ok($$select mute('t_piet', 'mute(''open-1'', now() + interval ''1 day'', ''x'')')$$, '42501', null, 'by its team alone');
select throws_ok($$select mute('t_leeg', 'mute(''open-1'', now() + interval ''1 day'', ''x'')')$$, '42501', null, 'by nobody without a team');
select is(as_login(login, 'select concat_ws('' '', device_id, reason) from patrol.mutes where layer is null'), wanted, login || ' sees what is muted, and why')
  from (values ('t_jan', 'open-1 proef in Open 1'), ('t_fee', 'open-1 proef in Open 1'), ('t_piet', ''), ('t_rik', 'open-1 proef in Open 1')) as w(login, wanted);
update mobeye.mute set at = at - interval '1 hour';
update mobeye.placement set during = tstzrange(lower(during), now() - interval '1 second') where device_id = 'open-1';
select is(queued('t_fee'), 'nobodys panic plain taken theirs verified', 'and no longer when it was moved');
insert into mobeye.placement (device_id, during, geom, team) values ('open-1', tstzrange(now(), null), 'SRID=4326;POINT(5.36 52.15)', 'noord');
select is((select count(*)::integer from mobeye.active_mute), 0, 'the mute is over');
select lives_ok('select mobeye.end_mutes()', 'which the next cycle says');
select is((select string_agg(distinct name, ' ' order by name) from mobeye.change join made on id = incident_id where op = 'mute' and entry > (select max(entry) - 20 from mobeye.change) and name in ('plain', 'panic')),
          'plain', 'of those that it concerned');

-- Until active conditions are restored, or a given time at the latest.
update mobeye.incident set status = 'closed', accepting = false, closed_at = now();
delete from made;
select put('door', '{"team": "noord", "active": 2}'), put('panic', '{"team": "noord", "urgent": true}'), put('verified', '{"team": "noord", "verified_by": "person"}'),
       put('taken', '{"team": "noord", "status": "assigned", "assigned_to": "x"}'), put('quiet', '{"team": "noord", "active": 0}') \g /dev/null
update mobeye.incident i set placement_id = p.placement_id from mobeye.placement p where p.device_id = 'open-1' and upper_inf(p.during) and i.status <> 'closed';
select throws_ok(format($$select mute('t_jan', 'mute_until_restored(%s, now() + interval ''1 day'', ''x'')')$$, id), '55000', null, name || ' is not muted until it is restored')
  from made where name <> 'door';
select throws_ok(format($$select mute('t_piet', 'mute_until_restored(%s, now() + interval ''1 day'', ''x'')')$$, id), 'P0002', null, 'nor by who does not see it') from made where name = 'door';
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''1 day'', ''deur staat open'')', id)) from made where name = 'door' \g /dev/null
select is(queued('t_fee'), 'panic taken verified', 'muted');
update mobeye.incident set active = 1 where incident_id = (select id from made where name = 'door');
select is(queued('t_fee'), 'panic taken verified', 'while something is active');
update mobeye.incident set active = 0, restored_at = now(), restore_received_at = clock_timestamp() where incident_id = (select id from made where name = 'door');
select mobeye.end_mutes() \g /dev/null
select is(queued('t_fee'), 'panic quiet taken verified', 'restored: the mute is over, the others of the device are back, and this one is done');
select mobeye.end_mutes() \g /dev/null
select put('again', '{"team": "noord", "active": 1}') \g /dev/null
update mobeye.incident set placement_id = (select placement_id from mobeye.placement where device_id = 'open-1' and upper_inf(during)) where incident_id = (select id from made where name = 'again');
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''1 day'', ''x'')', id)) from made where name = 'again' \g /dev/null
update mobeye.mute set at = now() - interval '2 hours', until = now() - interval '1 second' where ended_at is null and not over;
select mobeye.end_mutes() \g /dev/null
select ok(queued('t_fee') ~ 'again', 'still active at the latest time: it enters the queue again');
select is((select op from mobeye.change where incident_id = (select id from made where name = 'again') order by entry desc limit 1), 'mute', 'and the change says so');

-- For an incident, the device is muted where the incident is, or not at all.
delete from made;
insert into made select 'here', make('{"team": "noord"}');
update mobeye.placement set during = tstzrange(now() - interval '1 second', now()) where device_id = 'open-1' and upper_inf(during);
select throws_ok(format($$select mute('t_jan', 'mute_until_restored(%s, now() + interval ''7 days'', ''deur staat open'')')$$, id), '55000', null, 'the set was retrieved') from made;
insert into mobeye.placement (device_id, during, geom, team) values ('open-1', tstzrange(now(), null), 'SRID=4326;POINT(5.37 52.15)', 'noord');
select throws_ok(format($$select mute('t_jan', 'mute_until_restored(%s, now() + interval ''7 days'', ''deur staat open'')')$$, id), '55000', null, 'or moved') from made;
select put('there', '{"team": "noord"}') \g /dev/null
select is(queued('t_fee'), 'here there', 'and neither home is muted');
update mobeye.device set device_id = 'open-2' where device_id = 'open-1';
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''7 days'', ''deur staat open'')', id)) from made where name = 'there' \g /dev/null
select is(queued('t_fee'), 'here', 'a device that was only renamed is');

-- Nor if another device joined that is not muted.
select put('joined', '{"team": "noord", "device_id": "dc09:7"}') \g /dev/null
update mobeye.incident set placement_id = null where device_id = 'dc09:7';
insert into mobeye.incident_condition (condition, incident_id, active, device_id) select gen_random_uuid(), id, true, 'stock-1' from made where name = 'joined';
select throws_ok(format($$select mute('t_jan', 'mute_until_restored(%s, now() + interval ''1 day'', ''x'')')$$, id), '55000', null, 'another device joined it')
  from made where name = 'joined';
select mute('t_fee', 'mute(''stock-1'', now() + interval ''1 day'', ''x'')') \g /dev/null
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''1 day'', ''x'')', id)) from made where name = 'joined' \g /dev/null
select is(queued('t_fee'), 'here', 'which is muted too by now');

update mobeye.mute set ended_at = clock_timestamp(), ended_by = 'x' where device_id = 'dc09:7';
select mute('t_jan', format('close(%s, ''no_trace'')', id)) from made where name = 'joined' \g /dev/null
select mute('t_jan', format('reopen(%s, ''by mistake'')', id)) from made where name = 'joined' \g /dev/null
select throws_like(format($$select mute('t_jan', 'mute_until_restored(%s, now() + interval ''1 day'', ''x'')')$$, id), '%another device joined it, which was muted before it was reopened',
                   'a mute from before it was reopened is not enough') from made where name = 'joined';
select mute('t_fee', 'mute(''stock-1'', now() + interval ''1 day'', ''x'')') \g /dev/null
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''1 day'', ''x'')', id)) from made where name = 'joined' \g /dev/null
select is(queued('t_fee'), 'here', 'one from after it is');

-- A mute is as secret as its incident.
insert into made select 'fix', make(jsonb_build_object('device_id', 'geheim-1', 'team', 'noord', 'placement_id', null));
update mobeye.placement set during = tstzrange(lower(during), now()) where device_id = 'geheim-1';
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''1 day'', ''deur staat open'')', id)) from made where name = 'fix' \g /dev/null
select is(as_login(login, 'select concat_ws('' '', device_id, reason, incident_id) from patrol.mutes order by mute_id desc limit 1'), case login when 't_jan' then 'geheim-1 deur staat open ' || id else '' end,
          login || ' and the mute of a set that was retrieved from a secret home')
  from made, unnest(array['t_jan', 't_piet', 't_fee']) as login where name = 'fix';

-- If another device has the better place, that of its own device counts.
select put('placed', jsonb_build_object('device_id', 'open-2', 'team', 'noord', 'device_placement_id', p.placement_id, 'placement_id', other.placement_id))
  from mobeye.placement p, mobeye.placement other where p.device_id = 'open-2' and upper_inf(p.during) and other.device_id = 'geheim-0' \g /dev/null
update mobeye.mute set ended_at = clock_timestamp(), ended_by = 'x' where ended_at is null;
select ok(queued('t_fee') ~ 'placed', 'not muted');
select mute('t_jan', 'mute(''open-2'', now() + interval ''1 day'', ''x'')') \g /dev/null
select ok(queued('t_fee') !~ 'placed', 'muted with its device');
update mobeye.mute set ended_at = clock_timestamp(), ended_by = 'x' where ended_at is null;
select lives_ok(format($$select mute('t_jan', 'mute_until_restored(%s, now() + interval ''1 day'', ''x'')')$$, id), 'or until it is restored') from made where name = 'placed';
select ok(queued('t_fee') !~ 'placed', 'which mutes it too');

-- An alarm that the queue showed where it began is there again when the mute of the area into which a fix moved it ends.
delete from mobeye.mute;
delete from mobeye.incident;
delete from made;
select put(name, jsonb_build_object('team', team, 'areas', areas))
  from (values ('moved in', 'noord', '{wijk:WK1}'::text[]), ('of no team', null, '{wijk:WK1}'), ('to and fro', 'noord', '{wijk:WK2}'), ('stayed', 'noord', '{wijk:WK2}'), ('within', 'noord', '{wijk:WK2,buurt:BU1}')) as w (name, team, areas) \g /dev/null
select mute('t_fee', 'mute_area(''wijk'', ''WK2'', now() + interval ''1 hour'', ''feest'')') as area \gset
update mobeye.mute set at = now() - interval '1 hour';
select is(queued('t_fee'), 'moved in of no team', 'what began elsewhere is in the queue');
update mobeye.incident i set areas = '{wijk:WK1}' from made where id = i.incident_id and name = 'to and fro';
update mobeye.incident i set areas = case when name = 'within' then '{wijk:WK2,buurt:BU2}' else '{wijk:WK2}'::text[] end from made where id = i.incident_id;
select is(queued('t_fee'), null, 'until it moves into the muted area');
update mobeye.incident set active = 0, restored_at = now(), restore_received_at = clock_timestamp();
select is(queued('t_fee'), null, 'and is restored there');
select mute('t_fee', format('unmute(%s)', :area)) \g /dev/null
select is(queued('t_fee'), 'moved in of no team to and fro', 'it is there again when the mute ends, and what lay in the area all the time is not');
update mobeye.incident set areas = '{}';
select ok(bool_and(areas_throughout is null or areas_throughout = '{}'), 'no area outlives the place') from mobeye.incident;

-- Another team is not told why a device that merely joined the incident is muted.
delete from mobeye.mute;
delete from mobeye.incident;
delete from made;
insert into mobeye.placement (device_id, during, geom, team, secret) values ('geheim-1', tstzrange(now() + interval '1 microsecond', null), 'SRID=4326;POINT(5.3702 52.1602)', 'noord', true);
select put(team, jsonb_build_object('device_id', 'stock-1', 'team', team)) from unnest(array['noord', 'zuid']) as team \g /dev/null
insert into mobeye.incident_condition (condition, incident_id, active, device_id, since) select gen_random_uuid(), id, true, 'geheim-1', now() + interval '1 second' from made;
select mute('t_fee', 'mute(''stock-1'', now() + interval ''1 day'', ''proef'')') \g /dev/null
insert into mobeye.mute (device_id, placement_id, team, secret, until, reason, muted_by)
select 'geheim-1', placement_id, team, secret, now() + interval '1 day', 'op vakantie', 't_jan' from mobeye.placement where device_id = 'geheim-1' and upper_inf(during)
returning mute_id as secret \gset
select mobeye.announce_mute(:secret, 'muted') \g /dev/null
select is((select string_agg(concat_ws(' ', name, note), ', ' order by name) from mobeye.incident_history join made on id = incident_id where action = 'mute'),
          'noord muted: op vakantie, zuid muted', 'but to its own');

-- Incidents that a person has released or reopened since, and those of a person who left, stay in the queue.
delete from mobeye.mute;
delete from mobeye.incident;
delete from made;
select put(name, jsonb_build_object('device_id', 'stock-1', 'team', 'noord', 'status', 'assigned', 'assigned_to', officer))
  from (values ('left', 't_piet'), ('released', 't_jan'), ('reopened', 't_jan')) as w (name, officer) \g /dev/null
select mute('t_fee', 'mute(''stock-1'', now() + interval ''1 day'', ''x'')') \g /dev/null
select mute('t_jan', format('release(%s)', id)) from made where name = 'released' \g /dev/null
select mute('t_jan', format('close(%s, ''no_trace'')', id)) from made where name = 'reopened' \g /dev/null
select mute('t_jan', format('reopen(%s, ''by mistake'')', id)) from made where name = 'reopened' \g /dev/null
delete from mobeye.person where login = 't_piet';
select is(queued('t_fee'), 'left released reopened', 'a mute from before does not hide what somebody had');
select mute('t_fee', 'mute(''stock-1'', now() + interval ''1 day'', ''x'')') \g /dev/null
select is(queued('t_fee'), null, 'a later one does');

-- A mute that lasts until an incident is restored is over as soon as that is closed, whoever closes it.
delete from mobeye.mute;
delete from mobeye.incident;
delete from made;
create function blip(name text) returns void language sql as $$
    select put(name, '{"device_id": "stock-1", "team": "noord"}');
    update mobeye.incident set active = 0, restored_at = now(), restore_received_at = clock_timestamp() where incident_id = (select id from made where made.name = blip.name);
$$;
select put(name, '{"device_id": "stock-1", "team": "noord"}') from unnest(array['by hand', 'by the system']) as name \g /dev/null
select mute('t_jan', format('mute_until_restored(%s, now() + interval ''1 day'', ''x'')', id)) from made \g /dev/null
select blip('blip 1') \g /dev/null
select is(queued('t_fee'), null, 'what begins and is restored meanwhile is not in the queue');
select mute('t_jan', format('close(%s, ''technical'')', id)) from made where name = 'by hand' \g /dev/null
select blip('blip 2') \g /dev/null
select is(queued('t_fee'), null, 'while the other mute goes on');
select mobeye.close_incident(id, 'unattended') from made where name = 'by the system' \g /dev/null
select blip('blip 3') \g /dev/null
select is(queued('t_fee'), 'blip 3', 'what begins and is restored after both were closed is');
select mobeye.end_mutes() \g /dev/null
select is(queued('t_fee'), 'blip 3', 'and stays there');

select * from finish();
rollback;
