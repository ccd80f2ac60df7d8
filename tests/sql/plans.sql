-- What people do all day uses an index; and what alerts do to incidents touches none.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null

-- What a function reads is in no plan that its caller sees: it is counted. Of hundreds of incidents only the few
-- concerned.
create function rows_read() returns bigint language sql as $$
    with counted as (
        select unnest(array['mobeye.incident', 'mobeye.placement', 'mobeye.mute']::regclass[]) as relid
        union all
        select relid from pg_partition_tree('mobeye.alert') where isleaf)
    select sum(n)::bigint
      from (select pg_stat_get_xact_tuples_returned(c.relid) from counted c
            union all -- what is fetched by an index counts for the index
            select pg_stat_get_xact_tuples_fetched(x.indexrelid) from counted c join pg_index x on x.indrelid = c.relid) as r (n)
$$;
create function reads(login text, call text) returns bigint language plpgsql as $$
declare
    before bigint := rows_read();
begin
    perform as_login(login, call);
    return rows_read() - before;
end
$$;
-- On the first day of an installation the daemon's sessions plan what they call while the tables are nearly empty, and keep those plans.
create function raised(device text) returns bigint language sql as $$
    insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill, source, event_id,
                              device_id, payload, geom, incident_id)
    select 0, 2, 0, 1, now(), now(), id, 1, 0, false, '/v', device || id, device, '{}', 'SRID=4326;POINT(5.4 52.2)', id
      from make(jsonb_build_object('device_id', device, 'extent', '(5.4,52.2),(5.4,52.2)', 'verify_within', '5 minutes', 'verify_radius_m', 150)) as m (id)
    returning incident_id
$$;
create function verified(incident bigint, device text) returns bigint language sql as $$
    select reads('postgres', format('select mobeye.verify_incidents(array[%s], array[%L], array[now()], array[now()], 150)', incident, device))
$$;
truncate mobeye.incident cascade; -- what other tests left behind is dead, but has pages
select raised('first') as a, raised('second') as b \gset
select verified(:a, 'first'), mobeye.add_changes(array[:a], '{new}', '{f}') \g /dev/null
select is(array_agg(verified_by), '{second_device,second_device}', 'two devices verify each other') from mobeye.incident;
select make(jsonb_build_object('device_id', 'd' || n, 'extent', '(5.9,52.9),(5.9,52.9)')) from generate_series(1, 300) as n \g /dev/null
select raised('third') as c \gset
select cmp_ok(verified(:c, 'third'), '<', 30::bigint, 'a raise reads the incidents around it, though there were none when that was planned');
select is(verified_by, 'second_device', 'and is verified by one there') from mobeye.incident where incident_id = :c;
select cmp_ok(reads('postgres', format('select mobeye.add_changes(array[%s], ''{alert}'', ''{f}'')', :c)), '<', 10::bigint, 'a change reads its incident, likewise');
delete from mobeye.incident;

-- If sequential scans are practically forbidden, one that remains has no index to use.
set local enable_seqscan = off;
create function plan_of(query text, login text default 'postgres') returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    perform set_config('session_authorization', login, true);
    for line in execute 'explain (costs off) ' || query loop
        plan := plan || line || E'\n';
    end loop;
    perform set_config('session_authorization', 'postgres', true);
    return plan;
end
$$;
select make(jsonb_build_object('status', case when n % 50 = 0 then 'new' else 'closed' end,
                               'closed_at', case when n % 50 > 0 then now() - interval '1 day' end)) from generate_series(1, 500) as n \g /dev/null
insert into mobeye.change (change_id, incident_id, op, status, priority, category)
select -n, n % 500, 'note', 'new', 2, 'alarm' from generate_series(1, 5000) as n;
analyze mobeye.incident, mobeye.change;

create temporary table wanted (what text, query text, index text);
insert into wanted values
    ('the queue', 'select * from patrol.queue', 'incident_open'),
    ('the map of open ones', 'select * from patrol.incidents where status <> ''closed''', 'incident_open'),
    ('an incident by its number', 'select * from patrol.incidents where incident_id = 5', 'incident_pkey'),
    ('an incident by its reference', 'select * from patrol.incidents where reference = ''2026-000005''', 'incident_reference'),
    ('changes of an incident', 'select * from patrol.changes where incident_id = 5', 'change_incident'),
    ('the newest incidents', 'select * from patrol.incidents order by incident_id desc limit 50', 'incident_pkey'),
    ('changes after N', 'select * from patrol.changes where change_id > 5 order by change_id limit 100', 'change_id'),
    ('the history of an incident', 'select * from patrol.incident_history where incident_id = 5', 'incident_history_incident'),
    ('the alerts of an incident', 'select * from patrol.alerts where incident_id = 5', 'incident_id_idx');
select matches(plan_of(query, login), '(Scan (Backward )?using|Bitmap Index Scan on) [a-z_0-9]*' || index, format('%s goes by %s for %s', what, index, login))
  from wanted, unnest(array['postgres', 't_jan', 't_anna']) as login;
select doesnt_match(plan_of(query, login), 'Seq Scan on (incident|change|incident_history) ', format('%s reads no table whole for %s', what, login))
  from wanted, unnest(array['postgres', 't_jan', 't_anna']) as login;
select doesnt_match(plan_of(query), 'Sort Key: change', 'changes come in order') from wanted where what = 'changes after N';
select matches(plan_of('select * from mobeye.alert_seen where device_id = ''x'' and occurred_at > now()'), 'device_id_occurred_at_idx', 'alerts_of() finds the alerts of a device');
select matches(plan_of('select * from patrol.alerts order by received_at desc limit 5', login), 'Limit.*Scan Backward using alert_[a-z0-9_]*received_at', 'the newest alerts go by an index for ' || login)
  from unnest(array['postgres', 't_jan', 't_anna']) as login;
select doesnt_match(plan_of('select * from patrol.alerts order by received_at desc limit 5', login), '->  Sort', 'and need no sort for ' || login)
  from unnest(array['postgres', 't_jan', 't_anna']) as login;
select matches(plan_of('select * from patrol.' || view, 't_leeg'), 'One-Time Filter', 'who sees none of patrol.' || view || ' reads none') from unnest(array['alerts', 'incidents', 'queue']) as view;

set local enable_seqscan = on;
select make(jsonb_build_object('team', 'noord', 'priority', 1 + n % 4)) from generate_series(1, 300) as n \g /dev/null
insert into mobeye.device (device_id) select 'd' || n from generate_series(1, 500) as n;
insert into mobeye.placement (device_id, during, geom, address, secret, team)
select 'd' || n, '[2020-01-01,)', 'SRID=4326;POINT(5.36 52.15)', 'Straat ' || n, n % 2 = 0, case n % 3 when 0 then 'zuid' end from generate_series(1, 500) as n;
analyze mobeye.incident, mobeye.placement;
select cmp_ok(reads(login, 'select patrol.claim_next(''noord'', ''wagen 1'')'), '<', 50::bigint, 'claim_next reads the first few for ' || login)
  from unnest(array['postgres', 't_fee', 't_jan']) as login;
select make(jsonb_build_object('device_id', 'd' || n, 'team', 'zuid')) from unnest(array[5, 6, 7]) as n \g /dev/null
select cmp_ok(reads(login, 'select count(*) from patrol.incidents_at(''straat 5'')'), '<', 50::bigint, 'incidents_at goes by the address for ' || login)
  from unnest(array['postgres', 't_fee', 't_piet']) as login;
select is(reads('t_fee', 'select count(*) from patrol.incidents_at(''straat 6'')'), reads('t_fee', 'select count(*) from patrol.incidents_at(''straat 1000'')'),
          'and reads of an address that is secret what it reads of one that does not exist');
select is(as_login(login, 'select count(*) from patrol.incidents_at(''STRAAT 6'')'), wanted, login || ' finds it')
  from (values ('t_fee', '0'), ('t_piet', '1'), ('t_jan', '0'), ('t_leeg', '0'), ('postgres', '1')) as w(login, wanted);

-- An import of devices queries the placement of each, not all placements: whatever existed when statistics were gathered.
insert into mobeye.device (device_id) select 'i' || n from generate_series(1, 300) as n;
insert into mobeye.placement (device_id, during, geom)
select 'i' || n, '[2010-01-01,2011-01-01)', 'SRID=4326;POINT(5.36 52.15)' from generate_series(1, 300) as n;
delete from mobeye.placement where upper_inf(during);
analyze mobeye.placement;
insert into mobeye.placement (device_id, during, geom)
select 'i' || n, '[2020-01-01,)', 'SRID=4326;POINT(5.36 52.15)' from generate_series(1, 300) as n;
select mobeye.stage_devices() \g /dev/null
insert into pg_temp.device_import (line, device_id, lon, lat) select n, 'i' || n, 5.36, 52.15 from generate_series(1, 300) as n;
create function placements_found() returns bigint language sql as
    'select sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint from pg_index where indrelid = ''mobeye.placement''::regclass';
create temporary table before_import as select placements_found() as n;
select mobeye.locate_devices(array['placed_until']) \g /dev/null
select cmp_ok(placements_found() - n, '<', 3000::bigint, 'an import finds the placements of its devices') from before_import;
select is(count(*), 300::bigint, 'as those that stand there') from pg_temp.device_import where lower(during) = '2020-01-01';

-- The incidents that a raise may verify are found by where alarms were raised, and by when incidents were closed.
select make(jsonb_build_object('device_id', 'd' || n, 'extent', '(5.9,52.9),(5.9,52.9)')) from generate_series(1, 300) as n \g /dev/null
select make('{"device_id": "mobile", "extent": "(5.4,52.2),(5.3,52.1)", "verify_within": "5 minutes", "verify_radius_m": 150}') as id \gset
select make('{"device_id": "d5", "extent": "(5.4,52.2),(5.4,52.2)"}') as beside \gset
insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill, source, event_id,
                          device_id, payload, geom, incident_id)
select 0, 2, 0, 1, now(), now(), id, 1, 0, false, '/v', device, device, '{}', 'SRID=4326;POINT(5.4 52.2)', id
  from (values (:id, 'mobile'), (:beside, 'd5')) as a (id, device);
analyze mobeye.incident;
select cmp_ok(reads('postgres', format('select mobeye.verify_incidents(array[%s], array[''mobile''], array[now()], array[now()], 150)', :id)), '<', 20::bigint,
              'a raise reads the incidents around it');
select is(verified_by, 'second_device', 'and is verified by the one there') from mobeye.incident where incident_id = :id;

-- The latest alert of an incident, although a device that joined it has since sent a thousand in others.
select make('{"device_id": "busy", "first_seen": "2026-11-23 20:00+01", "last_seen": "2026-11-23 21:00+01"}') as id \gset
insert into mobeye.incident_condition (condition, incident_id, active, since, device_id)
values (gen_random_uuid(), :id, false, '2026-11-23 20:00+01', 'joined');
insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill, source, event_id,
                          device_id, payload, incident_id)
select 0, 2, 0, 1, timestamptz '2026-11-23 20:00+01' + n * interval '1 second', now(), n, 1, 0, false, '/v', device || n, device,
       jsonb_build_object('data', jsonb_build_object('text', device || n)), case when n in (0, 3600) then :id else 0 end
  from (select 'busy' as device, 0 as n union all select 'busy', 3600 union all select 'joined', generate_series(1, 3000)) as a;
select cmp_ok(reads('postgres', format('select mobeye.latest_alert(%s)', :id)), '<', 50::bigint, 'latest_alert reads the latest alert');
select is((mobeye.latest_alert(:id))[1], 'busy3600', 'and it is the right one');
delete from mobeye.alert where event_id = 'busy3600';
select is((mobeye.latest_alert(:id))[1], 'busy0', 'the latest that is left, once that is erased');

-- An incident looks up the mutes of its devices and areas, not all that ever existed.
insert into mobeye.mute (device_id, area, at, until, reason, muted_by)
select case when n % 2 = 0 then 'd' || n % 500 end, case when n % 2 = 1 then 'wijk:A' || n % 500 end, now() - interval '2 days', now() - interval '1 day', 'x', 'x'
  from generate_series(1, 3000) as n;
analyze mobeye.mute;
select cmp_ok(reads('postgres', format('select mobeye.was_muted(i, now() - interval ''7 days'') from mobeye.incident i where incident_id = %s', :beside)), '<', 50::bigint,
              'was_muted reads the mutes that may concern an incident');

-- Each update of an indexed column costs an entry in every index.
select is(attname, null, 'no index holds ' || attname) from (
    select a.attname from pg_index x
      join pg_attribute a on a.attrelid = x.indrelid
       and (a.attnum = any (x.indkey) or pg_get_expr(x.indpred, x.indrelid) ~ ('\m' || a.attname || '\M'))
     where x.indrelid = 'mobeye.incident'::regclass
       and a.attname in ('last_seen', 'last_received_at', 'alert_count', 'active', 'restored_at', 'flaps')) as held;
create temporary table before as select pg_stat_get_xact_tuples_hot_updated('mobeye.incident'::regclass) as n;
select make() as id \gset
update mobeye.incident set last_seen = now(), last_received_at = now(), alert_count = alert_count + 1, active = 2 where incident_id = :id;
select is(pg_stat_get_xact_tuples_hot_updated('mobeye.incident'::regclass) - n, 1::bigint, 'an alert that joins is a heap-only update') from before;

select * from finish();
rollback;
