-- A year of alerts for the benchmark of schema patrol: psql -v incidents=N -v alerts=N (ten alerts an incident, say).
-- Incidents begin evenly over the year and last minutes to hours, one in a hundred for weeks; the alerts are stored in
-- the order of receipt, as the daemon does. 3,000 incidents are open.
\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set synchronous_commit = off;
select setseed(0.5) \g /dev/null

select mobeye.make_partitions(class, now() - interval '366 days', now() + interval '2 days')
  from unnest(array['alarm', 'service']) as class \g /dev/null
select mobeye.make_partitions('camera', now() - interval '29 days', now() + interval '2 days') \g /dev/null

insert into mobeye.team select 'team' || n, 'Team ' || n from generate_series(0, 4) as n;
insert into mobeye.team_area select 'team' || n % 5, 'wijk', 'WK0307' || lpad(n::text, 2, '0') from generate_series(0, 19) as n;
insert into mobeye.area (layer, code, name, geom)
select 'wijk', 'WK0307' || lpad(n::text, 2, '0'), 'Wijk ' || n,
       st_multi(st_makeenvelope(5.3 + n * 0.01, 52.1, 5.31 + n * 0.01, 52.2, 4326))
  from generate_series(0, 19) as n;
create role officer1 login in role mobeye_patrol;
insert into mobeye.person select 'officer' || n, 'Officer ' || n, 'team' || n from generate_series(0, 4) as n;
insert into mobeye.device (device_id, state) select 'NL-' || lpad(n::text, 5, '0'), 'placed' from generate_series(0, 19999) as n;
insert into mobeye.placement (device_id, during, geom, address, team, secret)
select 'NL-' || lpad(n::text, 5, '0'), tstzrange(now() - interval '400 days', null),
       st_setsrid(st_makepoint(4.5 + random() * 2, 51.5 + random() * 1.5), 4326), 'Straat ' || n,
       'team' || n % 5, n % 10 = 0
  from generate_series(0, 19999) as n;

-- began seconds from the start of the year; every 25th of the last 75,000 is open.
create temporary table made as
select n as incident_id, now() - interval '365 days' + interval '365 days' * (n::float8 / :incidents) as began,
       case when n % 100 = 0 then interval '21 days' when n % 3 = 0 then interval '4 hours' else interval '10 minutes' end
           * random() as took,
       floor(random() * 20000)::integer as device,
       case when n % 3 = 0 and n > :incidents * (1 - 28.0 / 365) then 'camera' when n % 5 = 0 then 'battery'
            else 'intrusion' end as kind,
       n > :incidents - 75000 and n % 25 = 0 as open
  from generate_series(1, :incidents) as n;

insert into mobeye.incident
       (incident_id, incident_key, accepting, category, priority, kind, device_id, rule, team, gap, created_at, first_seen,
        last_seen, last_received_at, alert_count, active, geom, accuracy_m, location_source, areas, placement_id, status,
        closed_at, outcome, closed_by_person)
select m.incident_id, gen_random_uuid(), m.open, case m.kind when 'battery' then 'service' else 'alarm' end,
       1 + m.incident_id % 4, m.kind, p.device_id, 'default', case when m.incident_id % 4 > 0 then p.team end, '4.5 hours', m.began, m.began,
       least(m.began + m.took, now()), least(m.began + m.took, now()), :alerts / :incidents, 1, p.geom, 20, 'placement',
       array['wijk:WK0307' || lpad((m.device % 20)::text, 2, '0'), 'buurt:BU0307' || lpad((m.device % 200)::text, 4, '0')],
       p.placement_id, case when m.open then 'new' else 'closed' end, case when not m.open then now() end,
       case when not m.open then 'false_alarm' end, not m.open
  from made m join mobeye.placement p on p.device_id = 'NL-' || lpad(m.device::text, 5, '0')
 order by m.incident_id;

drop index mobeye.alert_device, mobeye.alert_incident;
insert into mobeye.alert_origin (origin, instance, endpoint, rule) values (1, 'bench', 'cameras', 'default');
insert into mobeye.alert
       (class, occurred_at, received_at, stored_at, source, event_id, origin, journal_seq, device_id, kind, phase, drill, flags,
        geom, accuracy_m, location_source, incident_id, payload, wijk_code)
select case kind when 'camera' then 1 when 'battery' then 2 else 0 end, at, at, at, '/bench', n, 1, n,
       'NL-' || lpad(device::text, 5, '0'), case kind when 'camera' then 10 when 'battery' then 12 else 1 end, 0, false, 0,
       st_setsrid(st_makepoint(5.4, 52.2), 4326), 20, 2, incident_id,
       '{"device": "NL-00001", "kind": "motion", "battery_pct": 88}', 'WK0307' || lpad((device % 20)::text, 2, '0')
  from (select m.*, least(m.began + m.took * (k / (:alerts / :incidents)::float8), now()) as at,
               row_number() over () as n
          from made m cross join generate_series(0, :alerts / :incidents - 1) as k
         order by at) as a;
create index alert_device on mobeye.alert (device_id, occurred_at);
create index alert_incident on mobeye.alert
    using brin (incident_id int8_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on);

insert into mobeye.change (change_id, at, incident_id, op, status, priority, category)
select incident_id, first_seen, incident_id, 'new', status, priority, category from mobeye.incident order by incident_id;
update mobeye.counter set value = :incidents where name = 'changes';
insert into mobeye.mute (device_id, at, until, reason, muted_by)
select 'NL-' || lpad(n::text, 5, '0'), now(), now() + interval '1 day', 'test', 'bench' from generate_series(0, 49) as n;
