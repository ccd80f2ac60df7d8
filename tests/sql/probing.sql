-- What a hostile officer tries with psql. What a query reads, which public counters and plans reveal, is the same whether the
-- hidden data exists or not; and a function called in a condition sees what the reader sees.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null
-- Autovacuum must not change the statistics of a table between reading two plans.
do $$
begin
    execute (select 'lock table ' || string_agg(oid::regclass::text, ', ') || ' in share update exclusive mode'
               from pg_class where relnamespace = 'mobeye'::regnamespace and relkind in ('r', 'p') and not relispartition);
end
$$;

select make('{"team": "noord", "device_id": "geheim-1"}') as ours, make('{"device_id": "geheim-0"}') as nobodys \g /dev/null
select make(jsonb_build_object('team', 'noord', 'geom', st_setsrid(st_makepoint(5 + n * 0.001, 52.5), 4326))) from generate_series(1, 500) as n \g /dev/null
insert into mobeye.alert_decoded (class, occurred_at, received_at, source, event_id, instance, journal_seq, endpoint, device_id, kind, phase, drill, flags, geom,
                          accuracy_m, location_source, incident_id, placement_id, team, secret, payload)
select 'alarm', i.first_seen, now(), 'bron', 'event-' || i.incident_id, 'i', 1, 'e', i.device_id, 'motion', 'raise', false, '{}', i.geom, 5, 'placement',
       i.incident_id, i.placement_id, i.secret_team, true, '{"text": "Geheim 1"}'
  from mobeye.incident i where i.secret;
insert into mobeye.incident_history (incident_id, actor, action, note) select incident_id, 't_x', 'note', 'sleutel onder de mat' from mobeye.incident where secret;
insert into mobeye.snapshot (image_id, occurred_at, device_id, placement_id, incident_id, media_type, image)
select gen_random_uuid(), first_seen, device_id, placement_id, incident_id, 'image/webp', convert_to('beeld', 'UTF8') from mobeye.incident where secret;
analyze mobeye.incident, mobeye.placement, mobeye.device, mobeye.alert, mobeye.incident_history, mobeye.snapshot;

-- Anybody may read how many rows of a table and entries of an index their transaction has read.
create function counted() returns bigint language sql as $$
    select sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid)) from pg_class where relnamespace = 'mobeye'::regnamespace and relkind in ('r', 'i')
$$;
create function reads_once(login text, call text) returns bigint language plpgsql as $$
declare
    before bigint := counted();
begin
    begin
        perform as_login(login, call);
    exception when no_data_found or insufficient_privilege then null; -- which tells no more than what is read
    end;
    return counted() - before;
end
$$;
-- Planning reads the ends of indexes, on the first call and whenever autovacuum has changed a catalog.
create function reads(login text, call text) returns bigint language sql as $$ select least(reads_once(login, call), reads_once(login, call), reads_once(login, call)) $$;
-- Small boxes and circles, whose edge passes over the home step by step (geheim-1 is at 5.3702 52.1602).
select is(count(distinct reads(login, format('select patrol.incidents_geojson(%s, 52.1600, 5.39, 52.17)', 5.3702 + offs + n * 1e-5))), 1::bigint, login || ' finds nothing with the edge of a box')
  from unnest(array['t_fee', 't_piet', 't_anna', 't_leeg']) as login, unnest(array[0.005]) as offs, generate_series(-20, 20) as n group by login;
select is(count(distinct reads(login, format('select count(*) from patrol.history_at(%s, 52.1602, 1)', 5.3702 - 101 / (111000 * cos(radians(52.1602))) + n * 1e-5))), 1::bigint, login || ' finds nothing with the edge of a circle')
  from unnest(array['t_fee', 't_piet', 't_anna', 't_leeg']) as login, generate_series(-20, 20) as n group by login;
select case when current_setting('enable_indexscan')::boolean
            then cmp_ok(reads('t_jan', 'select count(*) from patrol.history_at(5.3702, 52.1602, 1)'), '<', 300::bigint, 'and its team goes by place')
            else skip('the planner has no index to go by', 1) end;
select is(as_login('t_jan', 'select count(*) from patrol.history_at(5.3702, 52.1602, 1)'), '1', 'and finds it');

-- One address after another, until the plan no longer depends on it; also if the team has many secret homes of its own, and if
-- few are left.
insert into mobeye.device (device_id) values ('eigen-1'), ('eigen-2');
insert into mobeye.placement (device_id, during, geom, address, team, secret)
select device_id, '[2020-01-01,)', 'SRID=4326;POINT(5.4402 52.1902)', address, 'zuid', true from (values ('eigen-1', 'Eigen 1'), ('eigen-2', 'Eigen 2')) as v(device_id, address);
create function asked(address text) returns text language sql as $$ select format('select count(*) from patrol.incidents_at(%L)', address) $$;
create function addresses() returns text[] language sql as $$
    select array_agg('Nergens ' || n) || array['Geheim 1', 'GEHEIM 1', 'Geheim 0'] || array_agg('Nergens ' || n + 20) from generate_series(1, 12) as n
$$;
select is(count(distinct reads(login, asked(address))), 1::bigint, login || ' finds no secret address') from unnest(array['t_fee', 't_piet', 't_leeg']) as login, unnest(addresses()) as address group by login;
select make('{"device_id": "eigen-1", "team": "zuid"}') from generate_series(1, 60) \g /dev/null
select is(count(distinct reads('t_piet', asked(address))), 1::bigint, 'nor does a team with many of its own') from unnest(addresses()) as address;
analyze mobeye.incident, mobeye.placement;
set local plan_cache_mode = force_generic_plan;
select is(count(distinct reads(login, asked(address))), 1::bigint, login || ' finds none by a plan for all addresses') from unnest(array['t_fee', 't_piet', 't_leeg']) as login, unnest(addresses()) as address group by login;
set local plan_cache_mode = force_custom_plan;
select is(count(distinct reads(login, asked(address))), 1::bigint, login || ' finds none by a plan for each address') from unnest(array['t_fee', 't_piet', 't_leeg']) as login, unnest(addresses()) as address group by login;
reset plan_cache_mode;
select is(as_login(login, asked('eigen 1')), wanted, login || ' and the address of zuid') from (values ('t_piet', '60'), ('t_jan', '0'), ('t_fee', '0'), ('postgres', '60')) as w(login, wanted);

-- A name of a device.
select is(count(distinct reads(login, format('select patrol.mute(%L, now() + interval ''1 hour'', ''x'')', device))), 1::bigint, login || ' finds no name of a device in a secret home by muting it')
  from unnest(array['t_fee', 't_piet', 't_leeg']) as login, unnest(array['niets-1', 'geheim-1', 'geheim-0', 'a', 'open', 'zz']) as device group by login;

-- An auditor sees no place without a reason, so not that of a home that is not secret either.
select make('{"team": "noord", "geom": "SRID=4326;POINT(5.375 52.145)"}') \g /dev/null
select is(count(distinct reads('t_anna', format('select patrol.incidents_geojson(%s, 52.144, 5.389, 52.146)', 5.375 + 0.005 + n * 1e-5))), 1::bigint, 'an auditor finds no place with the edge of a box')
  from generate_series(-20, 20) as n;
select is(count(distinct reads('t_anna', format('select count(*) from patrol.history_at(%s, 52.145, 1)', 5.375 - 101 / (111000 * cos(radians(52.145))) + n * 1e-5))), 1::bigint, 'nor with the edge of a circle')
  from generate_series(-20, 20) as n;

-- Plans, with what was read, for a name that exists and for one that does not.
create function explained(login text, query text, hidden text) returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    perform set_config('session_authorization', login, true);
    for line in execute 'explain (analyze, buffers off, timing off, summary off) ' || format(query, hidden) loop
        plan := plan || replace(line, hidden, 'X') || E'\n';
    end loop;
    perform set_config('session_authorization', 'postgres', true);
    return plan;
end
$$;
select is(explained(login, 'select * from patrol.' || condition, hidden), explained(login, 'select * from patrol.' || condition, 'nothing of the kind'), format('%s reads nothing from the plan of %s', login, format(condition, hidden)))
  from unnest(array['t_fee', 't_piet', 't_anna', 't_leeg']) as login,
       (values ('devices where device_id = %L', 'geheim-1'), ('devices where address = %L', 'Geheim 1'), ('devices where instructions = %L', 'achterom'),
               ('incidents where address = %L', 'Geheim 1'), ('incidents where device_id = %L', 'geheim-1'), ('incidents where instructions = %L', 'achterom'),
               ('queue where address = %L', 'Geheim 1'), ('alerts where device_id = %L', 'geheim-1'), ('alerts where source = %L', 'bron'),
               ('images where device_id = %L', 'geheim-1'), ('images where media_type = %L', 'image/webp'),
               ('mutes where device_id = %L', 'geheim-1'), ('incident_history where note = %L', 'sleutel onder de mat')) as c(condition, hidden);

-- A function in a condition, however cheap it says it is; a cast that fails; an order.
create table spied (what text);
grant insert on spied to public;
create function spy(what text) returns boolean language plpgsql cost 1e-9 as $$ begin insert into spied values (what); return true; end $$;
grant execute on function spy(text) to public;
select as_login(login, format('select count(*) from patrol.%I t where spy(t::text)', view))
  from unnest(array['t_fee', 't_piet', 't_anna', 't_leeg']) as login, unnest(array['incidents', 'queue', 'alerts', 'images', 'changes', 'incident_history', 'mutes']) as view \g /dev/null
select as_login(login, 'select count(*) from patrol.devices t where spy(t::text)') from unnest(array['t_fee', 't_piet', 't_anna', 't_leeg']) as login \g /dev/null
select isnt_empty('select * from spied', 'the spy was called');
select is_empty($$select what from spied where what ~* 'geheim|achterom|bron|event-|sleutel'$$, 'and has seen nothing that is hidden');
select lives_ok(format($$select as_login(%L, 'select count(1 / (length(address) - 8)) from patrol.incidents where 1 / (length(address) - 8) is not null or address::text is null')$$, login), login || ' provokes no error')
  from unnest(array['t_fee', 't_piet', 't_anna']) as login;
select throws_ok($$select as_login('t_jan', 'select count(1 / (length(address) - 8)) from patrol.incidents')$$, '22012', null, 'which who sees the address does');

-- A user's own functions and operators before those of the system.
create schema evil;
grant usage on schema evil to public;
create function evil.st_transform(g geometry, to_srid integer) returns geometry language plpgsql as $$ begin insert into public.spied values ('evil ' || public.st_astext(g)); return g; end $$;
create function evil.round(n numeric, digits integer) returns numeric language plpgsql as $$ begin insert into public.spied values ('evil ' || n); return n; end $$;
create function evil.lower(t text) returns text language plpgsql as $$ begin insert into public.spied values ('evil ' || t); return t; end $$;
create function evil.same(a text, b text) returns boolean language plpgsql as $$ begin insert into public.spied values ('evil ' || a || b); return true; end $$;
create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
set local search_path = evil, pg_catalog, public;
select as_login('t_fee', call) from unnest(array['select count(*) from patrol.incidents', 'select count(*) from patrol.history_at(5.37, 52.16, 500)', 'select patrol.incidents_geojson(5, 52, 6, 53)',
                                               'select count(*) from patrol.incidents_at(''Geheim 1'')', 'select count(*) from patrol.alerts', 'select count(*) from patrol.devices']) as call \g /dev/null
set local search_path = public;
select is_empty($$select what from spied where what ~ '^evil'$$, 'the views and functions call none of them');

select * from finish();
rollback;
