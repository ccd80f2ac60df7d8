-- A screen that predates a panic, a holdup or a verification closes nothing.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null

-- As done by the daemon: an incident with its first change, and what joins.
create function begun(columns jsonb default '{}', urgent boolean default false) returns bigint language plpgsql as $$
declare
    id bigint := make('{"team": "noord"}' || columns);
begin
    perform mobeye.add_changes(array[id], '{new}', array[urgent]);
    return id;
end
$$;
create function joins(id bigint, op text, urgent boolean) returns bigint language plpgsql as $$
begin
    perform mobeye.add_changes(array[id], array[op], array[urgent]);
    return (select value from mobeye.counter where name = 'changes');
end
$$;
create function close(login text, id bigint, arguments text default '') returns text language sql as $$
    select as_login(login, format('select patrol.close(%s, ''no_trace''%s)', id, arguments))
$$;

select begun() as id \gset
select is(close('t_jan', :id), 'closed', 'an incident of which nothing became known since is closed');
select begun(urgent => true) as id \gset
select is(close('t_jan', :id), 'closed', 'one that a panic began as well');

select begun() as id \gset
select joins(:id, 'alert', false) \g /dev/null
select is(close('t_jan', :id), 'closed', 'a raise that is not urgent never gets in the way');

select begun() as id \gset
select joins(:id, 'alert', true) as urgent \gset
select throws_ok(format('select close(''t_jan'', %s)', :id), 'MB001', null, 'a panic that joined later does');
select throws_like(format('select close(''t_jan'', %s)', :id), '%a panic or holdup alarm has joined it', 'and the message says so');
select throws_ok(format('select close(''t_jan'', %s, '', expected_change => %s'')', :id, :urgent - 1), 'MB001', null, 'to a screen from before');
select throws_ok(format('select close(''t_jan'', %s, '', expected_change => 0'')', :id), 'MB001', null, 'however old');
select is((select status from mobeye.incident where incident_id = :id), 'new', 'and nothing is changed');
select is(close('t_jan', :id, format(', expected_change => %s', :urgent)), 'closed', 'a screen that shows it closes');

select begun() as id \gset
select joins(:id, 'alert', true) \g /dev/null
select as_login('t_piet', 'select 1') \g /dev/null
select as_login('t_fee', format('select patrol.note(%s, ''gebeld'')', :id)) \g /dev/null
select throws_ok(format('select close(''t_jan'', %s)', :id), 'MB001', null, 'what another wrote afterwards is not one''s own look');
select as_login('t_jan', format('select patrol.acknowledge(%s)', :id)) \g /dev/null
select is(close('t_jan', :id), 'closed', 'after an entry of one''s own it is');

select begun() as id \gset
select as_login('t_jan', format('select patrol.acknowledge(%s)', :id)) \g /dev/null
select joins(:id, 'verified', false) as verified \gset
select throws_ok(format('select close(''t_jan'', %s)', :id), 'MB001', null, 'a verification after one''s own entry gets in the way');
select throws_like(format('select close(''t_jan'', %s)', :id), '%it has been verified', 'and the message says so');
select lives_ok(format('select as_login(''t_jan'', ''select patrol.%s'')', format(call, :id)), 'but not of ' || call)
  from unnest(array['on_scene(%s)', 'note(%s, ''''x'''')', 'link(%s, ''''ams'''', ''''1'''')', 'assign(%s, ''''t_piet'''')']) as call;
select is(close('t_jan', :id), 'closed', 'and those were looks');

select begun() as id \gset
select as_login('t_jan', format('select patrol.verify(%s, ''person'')', :id)) \g /dev/null
select is(close('t_jan', :id), 'closed', 'who verified it closes it');

select begun() as id \gset
select joins(:id, 'alert', true) \g /dev/null
select is(close('t_baas', :id), 'closed', 'the owner closes everything');

-- Both expectations, on each that changes one.
select begun() as id \gset
select throws_ok(format('select as_login(''t_jan'', ''select patrol.%s'')', format(call, :id)), 'MB001', null, 'a wrong expected_status: ' || call)
  from unnest(array['note(%s, ''''x'''', expected_status => ''''closed'''')', 'verify(%s, ''''person'''', expected_status => ''''closed'''')',
                    'link(%s, ''''x'''', ''''y'''', ''''closed'''', 5)', 'acknowledge(%s, ''''closed'''', 5)']) as call;

-- Bounds.
select throws_ok(format('select close(''t_jan'', %s, format('', %%L'', repeat(''x'', 4001)))', :id), '22023', null, 'a note of closing is bounded as every note');
select is(close('t_jan', :id, format(', %L', repeat('x', 4000))), 'closed', 'to 4000 characters');

-- Assigning: the officer who has an incident sees it, and its place; with a call sign it stays with the team of the person who
-- assigns it.
select make('{"device_id": "geheim-1", "areas": ["wijk:WK1"]}') as id \gset
select as_login('t_jan', format('select patrol.assign(%s, ''wagen 12'')', :id)) \g /dev/null
select is((select team from mobeye.incident where incident_id = :id), 'noord', 'to a call sign: it becomes the actor''s team''s');
select is(as_login('t_piet', format('select count(*) from patrol.incidents where incident_id = %s', :id)), '0', 'which another team does not see');
select as_login('t_jan', format('select patrol.assign(%s, ''t_piet'')', :id)) \g /dev/null
select is(as_login('t_piet', format('select address from patrol.incidents where incident_id = %s', :id)), 'Geheim 1', 'but whoever has it, with its place');
select is(as_login('t_piet', format('select patrol.on_scene(%s)', :id)), 'on_scene', 'and works it');
select as_login('t_jan', format('select patrol.assign(%s, ''t_jan'')', :id)) \g /dev/null
select is(as_login('t_piet', format('select count(*) from patrol.incidents where incident_id = %s', :id)), '0', 'until another has it');

-- Those who saw it before are told that it left.
select make('{"areas": ["wijk:WK9"]}') as id \gset
select as_login('t_jan', format('select patrol.note(%s, ''van niemand'')', :id)), as_login('t_jan', format('select patrol.assign(%s, ''t_jan'')', :id)),
       as_login('t_jan', format('select patrol.note(%s, ''van noord'')', :id)) \g /dev/null
select mobeye.number_changes() \g /dev/null
select is(as_login(login, format('select string_agg(op, '' '' order by change_id) from patrol.changes where incident_id = %s', :id)), wanted, login || ' hears of what concerns them')
  from (values ('t_jan', 'note status note'), ('t_piet', 'status'), ('t_fee', 'note status note'), ('t_gast', null)) as w(login, wanted);
select is(as_login('t_piet', format('select count(*) from patrol.incidents where incident_id = %s', :id)), '0', 'and finds it gone');

-- Nobody closes what somebody touched.
create temporary table old (what text primary key, id bigint);
insert into old select what, make('{"team": "noord", "last_received_at": "2020-01-01", "first_seen": "2020-01-01", "last_seen": "2020-01-01"}')
  from unnest(array['untouched', 'noted', 'linked', 'verified', 'looked at', 'was linked', 'was attended', 'was verified']) as what;
select as_login('t_jan', format('select patrol.note(%s, ''x'')', id)) from old where what = 'noted' \g /dev/null
select as_login('t_jan', format('select patrol.link(%s, ''x'', ''y'')', id)) from old where what = 'linked' \g /dev/null
select as_login('t_jan', format('select patrol.verify(%s, ''person'')', id)) from old where what = 'verified' \g /dev/null
select as_login('t_jan', format('select status from patrol.open_incident(%s, ''x'')', id)) from old where what = 'looked at' \g /dev/null
-- Even if the history no longer says so.
update mobeye.incident set external_system = 'x', external_ref = 'y' from old where id = incident_id and what = 'was linked';
update mobeye.incident set on_scene_at = created_at from old where id = incident_id and what = 'was attended';
update mobeye.incident set verified_by = 'person' from old where id = incident_id and what = 'was verified';
select mobeye.close_unattended() \g /dev/null
select is((select string_agg(what, ', ' order by what) from old join mobeye.incident on incident_id = id where status = 'closed'), 'looked at, untouched', 'unattended is what nobody touched');

-- Nor an alarm that is still active and was hidden from all by a mute, before it has been in the queue for as long. But an
-- incident that nothing can join any more, such as each earlier alarm of a camera, which never sends a restore, does not wait
-- for the end of a mute.
truncate old;
update mobeye.incident set status = 'closed', accepting = false, closed_at = now() where status <> 'closed';
create temporary table muted (name text, since interval, until interval, accepting boolean);
insert into muted values ('still-muted', '-20 days', '1 day', true), ('muted-lately', '-20 days', '-6 days -23 hours', true), ('unmuted-lately', '-20 days', '1 day', true),
    ('muted-long-ago', '-20 days', '-7 days -1 hour', true), ('unmuted-long-ago', '-20 days', '-7 days -1 hour', true), ('joined', '-20 days', '-8 days', true), ('never-muted', null, null, true),
    ('earlier', '-20 days', '1 day', false), ('earlier-unmuted', '-20 days', '-1 day', false), ('earlier-muted-again', '-20 days', '1 day', false),
    ('muted-in-the-queue', '-9 days', '1 day', false), ('noted', '-20 days', '1 day', false),
    -- It was in the queue before; another of its devices is active in it alone, when the first has begun the next one.
    ('restored-before', '-9 days', '1 day', true), ('left-behind', '-20 days', '1 day', false),
    -- What its device began later is restored, and no longer stands for it.
    ('before-restored', '-20 days', '1 day', false), ('earlier-renewed', '-20 days', '-8 days', false);
insert into mobeye.device (device_id) select name from muted;
insert into mobeye.mute (device_id, at, until, reason, muted_by) select name, now() + since, now() + until, 'x', 'x' from muted where since is not null;
update mobeye.mute set ended_at = now() - interval '6 days', ended_by = 'x' where device_id = 'unmuted-lately';
-- No one mute lasts from its beginning until the last renewal.
insert into mobeye.mute (device_id, at, until, reason, muted_by) values ('earlier-renewed', now() - interval '9 days', now() - interval '2 days', 'x', 'x'),
    ('earlier-renewed', now() - interval '3 days', now() + interval '1 day', 'x', 'x');
insert into old select name, make(jsonb_build_object('device_id', name, 'team', 'noord', 'areas', '{}'::text[], 'created_at', at, 'first_seen', at, 'last_seen', at, 'last_received_at', at, 'accepting', accepting))
  from muted, (select now() - interval '10 days' as at) as t;
insert into mobeye.incident_condition (condition, incident_id, active, device_id)
select gen_random_uuid(), id, true, device from old cross join lateral (select what union all select 'still-muted' where what in ('joined', 'left-behind')) as d (device) where what not in ('restored-before', 'left-behind') or device <> what;
select make(jsonb_build_object('device_id', what, 'team', 'noord', 'areas', '{}'::text[], 'incident_key', (select incident_key from mobeye.incident where incident_id = id))) from old where what like 'earlier%' or what in ('left-behind', 'before-restored') \g /dev/null
update mobeye.incident set restored_at = now(), restore_received_at = now(), active = 0 where device_id = 'before-restored' and incident_id not in (select id from old);
update mobeye.incident set restored_at = first_seen, restore_received_at = now() - interval '8 days', active = 0 where incident_id = (select id from old where what = 'restored-before');
select mobeye.add_history(id, action, note, actor => 't_jan') from old join (values
    ('unmuted-long-ago', 'mute', 'unmuted'), ('earlier-unmuted', 'mute', 'unmuted'), ('earlier-muted-again', 'mute', 'muted: x'), ('earlier-renewed', 'mute', 'muted: x'), ('muted-in-the-queue', 'mute', 'muted: x'), ('noted', 'note', 'x')) as h (name, action, note)
    on name = what \g /dev/null
-- The clocks of daemon and database differ: muted while it was being received.
update mobeye.incident_history h set at = i.first_received_at - interval '1 second' from mobeye.incident i, old
 where i.incident_id = h.incident_id and i.incident_id = id and what = 'earlier-renewed' and h.action = 'mute';
select mobeye.close_unattended() \g /dev/null
select is((select string_agg(what, ', ' order by what) from old join mobeye.incident on incident_id = id where status = 'closed'),
          'earlier, earlier-muted-again, earlier-renewed, earlier-unmuted, joined, muted-long-ago, never-muted, unmuted-long-ago', 'nor what is active and was muted until less than 7 days ago');

-- One absurd value would end a job for all.
select throws_ok(format('insert into mobeye.device (device_id, %s) values (''d'', %L)', name, value), '23514', null, format('%s %s', name, quote_nullable(replace(value, chr(10), ' '))))
  from (values ('heartbeat', '367 days'), ('heartbeat', '178000000 years'), ('grace', '367 days'), ('device_group', E'a\x01b'), ('model', E'a\nb')) as v(name, value);
select throws_ok(format('insert into mobeye.%s', row), '23514', null, row)
  from unnest(array['team values (''a'' || chr(1))', 'team values (''*'')', 'person values (''a'' || chr(10), ''x'')', 'team_area values (''noord'', ''wijk'', chr(9))']) as row;

select * from finish();
rollback;
