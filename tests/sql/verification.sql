-- Verification of what was stored before a crash, which follows when the daemon is back.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null

create function begun(device text, columns jsonb default '{}') returns bigint language sql as $$
    select make(jsonb_build_object('device_id', device, 'verify_within', '5 minutes', 'verify_radius_m', 150,
                                   'extent', '(5.4,52.2),(5.4,52.2)') || columns)
$$;
-- A raise at 5.4, 52.2, with the condition that it leaves.
create function raised(incident bigint, device text, input integer, at timestamptz default now()) returns void language sql as $$
    insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill,
                              source, event_id, device_id, input, payload, geom, incident_id)
    values (0, 2, 0, 1, at, at, 1, 1, 0, false, '/v', gen_random_uuid()::text, device, input, '{}', 'SRID=4326;POINT(5.4 52.2)', incident);
    insert into mobeye.incident_condition (condition, incident_id, active, since, device_id, input)
    values (gen_random_uuid(), incident, true, at, device, input);
    update mobeye.incident i set first_seen = least(i.first_seen, at), last_seen = greatest(i.last_seen, at) where i.incident_id = incident;
$$;
create function recently() returns text language sql as $$
    select coalesce(string_agg(i.device_id, ' ' order by i.device_id), '')
      from unnest(mobeye.verify_recent(now() + interval '1 second')) as v (incident_id)
      join mobeye.incident i on i.incident_id = v.incident_id
$$;

select begun('a') as a \gset
select raised(:a, 'a', 1) \g /dev/null
select is(recently(), '', 'one input verifies nothing');
select raised(:a, 'b', 1), raised(:a, 'b', 2) \g /dev/null
select is(recently(), 'a', 'two inputs of a device that joined do');

select begun('c', '{"extent": "(5.5,52.2),(5.5,52.2)"}') as c \gset
select begun('d', '{"verify_within": null, "verify_radius_m": null}') as d \gset
select raised(:c, 'c', 1), raised(:d, 'e', 1) \g /dev/null
update mobeye.alert set geom = 'SRID=4326;POINT(5.5 52.2)' where device_id in ('c', 'e');
update mobeye.incident set extent = '(5.5,52.2),(5.4,52.2)' where incident_id = :d;
update mobeye.incident set stored_at = now() - interval '1 hour' where incident_id = :c;
select is(recently(), 'c', 'what was raised by a device that joined verifies an older incident nearby, though its own rule verifies nothing');

select begun('p', '{"extent": "(5.7,52.2),(5.7,52.2)", "priority": 1, "verify_priority": 2}') as p \gset
select raised(:p, 'p', 1), raised(:p, 'p', 2) \g /dev/null
select is(recently(), 'p', 'two inputs of a panic verify it');
select is(priority::integer, 1, 'and lower no priority') from mobeye.incident where incident_id = :p;

select begun('f', '{"extent": "(5.6,52.2),(5.6,52.2)"}') as f \gset
select raised(:f, 'f', 1), raised(:f, 'f', 2) \g /dev/null
update mobeye.incident set stored_at = now() - interval '7 minutes' where incident_id = :f;
select is(recently(), '', 'an incident that was stored before was verified then');

select * from finish();
rollback;
