-- What follows on a commit of the daemon: verification, hints, what devices were last heard to say, the rules it applies.
-- By hand, backwards: drop the functions below.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- Verification. It follows on the commit, since two daemons with one alert each see each other only then; it is judged
-- by the rows of the alerts, so that it may be done twice, or late.

-- Were two inputs of the device raised in the incident within the time?
create or replace function mobeye.inputs_agree(
    incident bigint, device text, from_at timestamptz, until_at timestamptz, within interval) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Of two inputs within the time two neighbours in time are as well.
    return exists (
        select from (
            select a.input, a.occurred_at, lag(a.input) over later as input_before,
                   lag(a.occurred_at) over later as occurred_before
              from mobeye.alert a
             where a.device_id = device and a.occurred_at between from_at - within and until_at + within
               and a.phase = 'raise' and a.incident_id = incident and a.input is not null
            window later as (order by a.occurred_at)) as pair
         where pair.input <> pair.input_before and pair.occurred_at - pair.occurred_before <= within);
end
$$;
comment on function mobeye.inputs_agree(bigint, text, timestamptz, timestamptz, interval) is
    'Whether two inputs of a device raised an alarm within a time of each other.';

-- Raises of alarms: incident, device, time of the first and of the last. reach_m: the largest radius of any rule.
create or replace function mobeye.verify_incidents(
    incidents bigint[], devices text[], raised_from timestamptz[], raised_until timestamptz[], reach_m real)
returns bigint[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    one record;
    by_input bigint[] := '{}';
    by_device bigint[] := '{}';
    verified bigint[];
begin
    for one in
        select r.incident_id, r.device_id, r.from_at, r.until_at, i.verify_within
          from unnest(incidents, devices, raised_from, raised_until) as r (incident_id, device_id, from_at, until_at)
          join mobeye.incident i on i.incident_id = r.incident_id
         where i.category = 'alarm' and not i.drill and i.status <> 'closed'
           and i.verified_by is null and i.verify_within is not null
           and (select min(t.input) < max(t.input) from mobeye.incident_thread t
                 where t.incident_id = r.incident_id and t.device_id = r.device_id)
    loop
        if one.incident_id <> all (by_input)
           and mobeye.inputs_agree(one.incident_id, one.device_id, one.from_at, one.until_at, one.verify_within) then
            by_input := by_input || one.incident_id;
        end if;
    end loop;

    -- Pairs of a raise and a device that something was raised of nearby at about the time, then by their alerts: did
    -- both say so within the time and the distance that the one, or the other, wants? The latitudes, which are cheap to
    -- compare, rule most out.
    by_device := array(
        with near as materialized (
            select r.incident_id, r.device_id, r.from_at, r.until_at, i.verify_within, i.verify_radius_m,
                   i.verify_radius_m > 0 and i.verified_by is null and i.status <> 'closed' as wanted,
                   j.incident_id as other_id, o.device_id as other, j.verify_within as other_within,
                   j.verify_radius_m as other_radius_m,
                   j.verify_radius_m > 0 and j.verified_by is null and j.status <> 'closed' as other_wanted
              from unnest(incidents, devices, raised_from, raised_until)
                   as r (incident_id, device_id, from_at, until_at)
              join mobeye.incident i on i.incident_id = r.incident_id
             cross join lateral (
                select public.st_expand(i.geom, metres / (111000 * cos(radians(public.st_y(i.geom)))), metres / 111000)
                  from greatest(reach_m, i.verify_radius_m) as reach (metres)) as around (box)
             cross join lateral (
                select n.* from mobeye.incident n
                 where n.accepting and n.category = 'alarm' and not n.drill
                   and n.geom operator(public.&&) around.box
                union all
                select n.* from mobeye.incident n
                 where n.status = 'closed' and n.closed_at > now() - interval '1 hour'
                   and n.category = 'alarm' and not n.drill and n.geom operator(public.&&) around.box
                union all
                select i.*) as j
             cross join lateral (
                select distinct t.device_id from mobeye.incident_thread t
                 where t.incident_id = j.incident_id and t.device_id <> r.device_id) as o
             where i.category = 'alarm' and not i.drill and i.geom is not null
               and (i.verified_by is null and i.verify_radius_m > 0 or j.verified_by is null and j.verify_radius_m > 0)
               and j.first_seen - greatest(i.verify_within, j.verify_within) <= r.until_at
               and j.last_seen + greatest(i.verify_within, j.verify_within) >= r.from_at
        )
        select n.incident_id from near n
         where n.wanted and exists (
            select from mobeye.alert a
              join mobeye.alert b
                on b.device_id = n.other
               and b.occurred_at between a.occurred_at - n.verify_within and a.occurred_at + n.verify_within
               and abs(public.st_y(a.geom) - public.st_y(b.geom)) < n.verify_radius_m / 110000
               and public.st_dwithin(a.geom::public.geography, b.geom::public.geography, n.verify_radius_m)
              join mobeye.incident k on k.incident_id = b.incident_id
             where a.device_id = n.device_id and a.occurred_at between n.from_at and n.until_at
               and a.phase = 'raise' and a.incident_id = n.incident_id and a.geom is not null
               and b.occurred_at between n.from_at - n.verify_within and n.until_at + n.verify_within
               and b.phase = 'raise' and not b.drill and b.geom is not null and k.category = 'alarm')
        union
        select n.other_id from near n
         where n.other_wanted and exists (
            select from mobeye.alert a
              join mobeye.alert b
                on b.device_id = n.other
               and b.occurred_at between a.occurred_at - n.other_within and a.occurred_at + n.other_within
               and abs(public.st_y(a.geom) - public.st_y(b.geom)) < n.other_radius_m / 110000
               and public.st_dwithin(a.geom::public.geography, b.geom::public.geography, n.other_radius_m)
             where a.device_id = n.device_id and a.occurred_at between n.from_at and n.until_at
               and a.phase = 'raise' and a.incident_id = n.incident_id and a.geom is not null
               and b.occurred_at between n.from_at - n.other_within and n.until_at + n.other_within
               and b.phase = 'raise' and b.incident_id = n.other_id and b.geom is not null));

    if cardinality(by_input || by_device) = 0 then
        return '{}';
    end if;
    verified := array(
        select i.incident_id from mobeye.incident i
         where i.incident_id = any (by_input || by_device) and i.verified_by is null and i.status <> 'closed'
         order by i.incident_id for update);
    update mobeye.incident i
       set verified_by = case when i.incident_id = any (by_input) then 'second_input' else 'second_device' end,
           priority = least(i.priority, i.verify_priority)
     where i.incident_id = any (verified);
    insert into mobeye.incident_history (incident_id, actor, action, note)
    select i.incident_id, 'mobeyed', 'verified', i.verified_by
      from mobeye.incident i where i.incident_id = any (verified) order by i.incident_id;
    insert into mobeye.change (incident_id, op, status, priority, category)
    select i.incident_id, 'verified', i.status, i.priority, i.category
      from mobeye.incident i where i.incident_id = any (verified) order by i.incident_id;
    return verified;
end
$$;
comment on function mobeye.verify_incidents(bigint[], text[], timestamptz[], timestamptz[], real) is
    'Verifies incidents by a second input or device, those raised and those near them; returns which were.';

-- After a crash between a commit and the verification that follows it within a minute.
create or replace function mobeye.verify_recent(journal uuid) returns bigint[]
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.verify_incidents(coalesce(array_agg(i.incident_id), '{}'), array_agg(i.device_id),
                                   array_agg(i.first_seen), array_agg(i.last_seen), 0)
      from mobeye.incident i
      join mobeye.journal_position p on p.journal = verify_recent.journal
     where i.accepting and i.category = 'alarm' and not i.drill and i.verified_by is null
       and i.stored_at >= p.updated_at - i.verify_within - interval '1 minute'
$$;
comment on function mobeye.verify_recent(uuid) is
    'Verifies the incidents of alerts that were stored within a minute of the journal''s last.';

-- Hints that something happened, for who listens. The truth is mobeye.change: where the queue of notifications fills up
-- because a listener hangs, they are left out.
create or replace function mobeye.announce(incidents bigint[], ops text[]) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    select count(pg_notify('mobeye_incident', hint.text))
      from (select json_build_object('incident_id', i.incident_id, 'op', n.op, 'priority', i.priority,
                                     'category', i.category)::text
              from unnest(incidents, ops) with ordinality as n (incident_id, op, place)
              join mobeye.incident i on i.incident_id = n.incident_id
             where pg_notification_queue_usage() < 0.5
             order by n.place) as hint (text)
$$;
comment on function mobeye.announce(bigint[], text[]) is
    'NOTIFY mobeye_incident for each, unless the queue of notifications is half full; returns how many it were.';

-- What devices were last heard to say. Of senders that are not registered 10,000 are kept, so that no stream of made-up
-- names fills the table. Whoever was silent is so no longer.
create or replace function mobeye.note_devices(
    devices text[], registered boolean[], received timestamptz[], occurred timestamptz[], endpoints text[],
    sources text[], kinds text[], battery_pct integer[], signal_dbm integer[], fix bytea[], fix_accuracy_m real[],
    fix_at timestamptz[], alerts bigint[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    room bigint := 10000;
    back record;
begin
    if false = any (registered) then
        room := 10000 - (select count(*) from mobeye.device_status s where not s.registered);
    end if;
    insert into mobeye.device_status as s (
        device_id, registered, first_received_at, last_received_at, last_occurred_at, endpoint, source, kind,
        battery_pct, signal_dbm, fix, fix_accuracy_m, fix_at, alerts)
    select n.device_id, n.registered, n.received, n.received, n.occurred, n.endpoint, n.source, n.kind, n.battery_pct,
           n.signal_dbm, case when n.fix_stays then public.st_geomfromewkb(n.fix) end,
           case when n.fix_stays then n.fix_accuracy_m end, case when n.fix_stays then n.fix_at end, n.alerts
      from (select n.*, count(*) filter (where not n.registered and k.device_id is null) over earlier as strangers,
                   n.registered or k.device_id is not null as welcome,
                   not exists (select from mobeye.registry_log l
                                where l.device_id = n.device_id and l.forget @> n.fix_at) as fix_stays
              from unnest(devices, note_devices.registered, received, occurred, endpoints, sources, kinds,
                          note_devices.battery_pct, note_devices.signal_dbm, note_devices.fix,
                          note_devices.fix_accuracy_m, note_devices.fix_at, note_devices.alerts)
                   as n (device_id, registered, received, occurred, endpoint, source, kind, battery_pct, signal_dbm,
                         fix, fix_accuracy_m, fix_at, alerts)
              left join mobeye.device_status k on k.device_id = n.device_id
            window earlier as (order by n.device_id)) as n
     where n.welcome or n.strangers <= room
     order by n.device_id
        on conflict (device_id) do update
       set registered = excluded.registered, last_received_at = greatest(s.last_received_at, excluded.last_received_at),
           last_occurred_at = excluded.last_occurred_at, endpoint = excluded.endpoint, source = excluded.source,
           kind = excluded.kind, battery_pct = coalesce(excluded.battery_pct, s.battery_pct),
           signal_dbm = coalesce(excluded.signal_dbm, s.signal_dbm), fix = coalesce(excluded.fix, s.fix),
           fix_accuracy_m = case when excluded.fix is null then s.fix_accuracy_m else excluded.fix_accuracy_m end,
           fix_at = coalesce(excluded.fix_at, s.fix_at), alerts = s.alerts + excluded.alerts;
    for back in -- in the order in which watch_devices() locks them
        select s.device_id, s.last_received_at from mobeye.device_status s
         where s.device_id = any (devices) and s.silent_since < s.last_received_at
         order by s.device_id for update
    loop
        update mobeye.device_status s set silent_since = null where s.device_id = back.device_id;
        perform mobeye.end_silence('device', back.device_id, back.last_received_at);
    end loop;
end
$$;
comment on function mobeye.note_devices is 'Notes what devices were last heard to say, registered or not.';
create index if not exists device_status_unregistered on mobeye.device_status (device_id) where not registered;

create or replace function mobeye.keep_rules(rules uuid, text text, instance text) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into mobeye.rule_file (rules, text, instance) values (rules, text, instance) on conflict do nothing
$$;
comment on function mobeye.keep_rules(uuid, text, text) is 'Keeps the text of the rules that a daemon applies.';

do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc p
         where p.pronamespace = 'mobeye'::regnamespace
           and p.proname in ('verify_incidents', 'verify_recent', 'announce', 'note_devices', 'keep_rules')
    loop
        execute format('grant execute on function %s to mobeye_ingest', one);
    end loop;
end
$$;
