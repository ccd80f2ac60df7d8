-- Verification by a second input or device. It runs after the commit, because only then do two daemons that store one alert
-- each see each other's. It reads the stored alerts, so it may run twice, or late.

create or replace function mobeye.inputs_agree(
    incident bigint, device text, from_at timestamptz, until_at timestamptz, within interval) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- If two alerts of different inputs are within the time, so are two consecutive ones.
    return exists (
        select from (
            select a.input, a.occurred_at, lag(a.input) over later as input_before,
                   lag(a.occurred_at) over later as occurred_before
              from mobeye.alert a
             where a.device_id = device and a.occurred_at between from_at - within and until_at + within
               and a.phase = 0 /* raise */ and a.incident_id = incident and a.input is not null
            window later as (order by a.occurred_at)) as pair
         where pair.input <> pair.input_before and pair.occurred_at - pair.occurred_before <= within);
end
$$;
comment on function mobeye.inputs_agree(bigint, text, timestamptz, timestamptz, interval) is
    'Whether two inputs of a device raised alarms in an incident within a time of each other.';

create or replace function mobeye.verified_by_input(
    incidents bigint[], devices text[], raised_from timestamptz[], raised_until timestamptz[])
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    one record;
    verified bigint[] := '{}';
begin
    for one in
        select r.incident_id, r.device_id, r.from_at, r.until_at, i.verify_within
          from unnest(incidents, devices, raised_from, raised_until) as r (incident_id, device_id, from_at, until_at)
          -- The offset keeps the planner from reading all open incidents for each raise, which looks cheap to it while
          -- the table is empty: half of what a batch cost.
         cross join lateral (
            select t.* from mobeye.incident t where t.incident_id = r.incident_id offset 0) as i
         where i.category = 'alarm' and not i.drill and i.status <> 'closed'
           and i.verified_by is null and i.verify_within is not null
           -- the conditions of others may have moved on to a newer incident
           and (not i.accepting or (select min(c.input) < max(c.input) from mobeye.incident_condition c
                                     where c.incident_id = r.incident_id and c.device_id = r.device_id))
    loop
        if one.incident_id <> all (verified)
           and mobeye.inputs_agree(one.incident_id, one.device_id, one.from_at, one.until_at, one.verify_within) then
            verified := verified || one.incident_id;
        end if;
    end loop;
    return verified;
end
$$;
comment on function mobeye.verified_by_input(bigint[], text[], timestamptz[], timestamptz[]) is
    'The incidents among those that raised something in which two inputs of the device agree.';

-- Pairs of a raise and a device that raised something nearby at about that time. Their alerts then decide: both must lie
-- within the time and the distance that the rule of either one requires. Latitudes, which are cheap to compare, rule out
-- most pairs. Both statements also bound the times of their alerts by variables: partitions outside are then left out before
-- anything in them is opened, which otherwise takes longer than all the rest.
create or replace function mobeye.verified_by_device(
    incidents bigint[], devices text[], raised_from timestamptz[], raised_until timestamptz[], reach_m real)
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    earliest timestamptz := (select min(r.at) from unnest(raised_from) as r (at));
    latest timestamptz := (select max(r.at) from unnest(raised_until) as r (at));
    near mobeye.near_raises[];
begin
    near := array(
        select row (r.incident_id, r.device_id, r.from_at, r.until_at, i.verify_within, i.verify_radius_m,
                    i.verify_radius_m > 0 and i.verified_by is null and i.status <> 'closed',
                    j.incident_id, o.device_id, j.verify_within, j.verify_radius_m,
                    j.verify_radius_m > 0 and j.verified_by is null and j.status <> 'closed')::mobeye.near_raises
          from unnest(incidents, devices, raised_from, raised_until) as r (incident_id, device_id, from_at, until_at)
         cross join lateral (
            select t.* from mobeye.incident t where t.incident_id = r.incident_id offset 0) as i
         cross join lateral ( -- where it was raised: the place of the incident may be a different one
            select min(public.st_x(a.geom)) as west, min(public.st_y(a.geom)) as south,
                   max(public.st_x(a.geom)) as east, max(public.st_y(a.geom)) as north
              from mobeye.alert a
             where a.device_id = r.device_id and a.occurred_at between r.from_at and r.until_at
               and a.occurred_at between earliest and latest
               and a.phase = 0 /* raise */ and a.incident_id = i.incident_id and a.geom is not null) as e
         cross join lateral (
            select box(point(e.west - degrees / cos(radians(e.south)), e.south - degrees),
                       point(e.east + degrees / cos(radians(e.north)), e.north + degrees))
              from (values (greatest(reach_m, i.verify_radius_m) / 111000)) as reach (degrees)) as around (box)
         cross join lateral (
            select n.* from mobeye.incident n where n.status <> 'closed' and n.extent && around.box
            union all
            -- What occurred before it was closed verifies others. An hour more: the clock of a device may be ahead.
            select n.* from mobeye.incident n
             where n.status = 'closed' and n.closed_at > r.from_at - i.verify_within - interval '1 hour'
               and n.category = 'alarm' and not n.drill and n.extent && around.box
            union all
            select i.*) as j
         cross join lateral (
            select c.device_id from mobeye.incident_condition c
             where c.incident_id = j.incident_id and c.device_id <> r.device_id
            union -- its condition may have moved on to a newer incident
            select j.device_id where j.device_id <> r.device_id) as o
         where i.category = 'alarm' and not i.drill and e.west is not null
           and (i.verified_by is null and i.verify_radius_m > 0 or j.verified_by is null and j.verify_radius_m > 0)
           and j.first_seen - greatest(i.verify_within, j.verify_within) <= r.until_at
           and j.last_seen + greatest(i.verify_within, j.verify_within) >= r.from_at);
    if near = '{}' then
        return '{}';
    end if;
    select min(n.from_at - greatest(n.within, n.other_within)), max(n.until_at + greatest(n.within, n.other_within))
      into earliest, latest from unnest(near) as n;
    return array(
        select n.incident_id from unnest(near) as n
         where n.wanted and exists (
            select from mobeye.alert a
              join mobeye.alert b
                on b.device_id = n.other
               and b.occurred_at between a.occurred_at - n.within and a.occurred_at + n.within
               and abs(public.st_y(a.geom) - public.st_y(b.geom)) < n.radius_m / 110000
               and public.st_dwithin(a.geom::public.geography, b.geom::public.geography, n.radius_m)
             where a.device_id = n.device_id and a.occurred_at between n.from_at and n.until_at
               and a.occurred_at between earliest and latest
               and a.phase = 0 /* raise */ and a.incident_id = n.incident_id and a.geom is not null
               and b.occurred_at between n.from_at - n.within and n.until_at + n.within
               and b.occurred_at between earliest and latest
               and b.phase = 0 /* raise */ and not b.drill and b.geom is not null
               -- A join would read all incidents for each pair, which looks cheap while there are none.
               and (select k.category from mobeye.incident k where k.incident_id = b.incident_id) = 'alarm')
        union
        select n.other_id from unnest(near) as n
         where n.other_wanted and exists (
            select from mobeye.alert a
              join mobeye.alert b
                on b.device_id = n.other
               and b.occurred_at between a.occurred_at - n.other_within and a.occurred_at + n.other_within
               and abs(public.st_y(a.geom) - public.st_y(b.geom)) < n.other_radius_m / 110000
               and public.st_dwithin(a.geom::public.geography, b.geom::public.geography, n.other_radius_m)
             where a.device_id = n.device_id and a.occurred_at between n.from_at and n.until_at
               and a.occurred_at between earliest and latest
               and a.phase = 0 /* raise */ and a.incident_id = n.incident_id and a.geom is not null
               and b.occurred_at between n.from_at - n.other_within and n.until_at + n.other_within
               and b.occurred_at between earliest and latest
               and b.phase = 0 /* raise */ and b.incident_id = n.other_id and b.geom is not null));
end
$$;
comment on function mobeye.verified_by_device(bigint[], text[], timestamptz[], timestamptz[], real) is
    'The incidents, those that raised something and those near them, in which two devices agree. reach_m is the largest '
    'radius of any rule.';

-- The arrays belong together: incident, device, times of the first and last raise.
create or replace function mobeye.verify_incidents(
    incidents bigint[], devices text[], raised_from timestamptz[], raised_until timestamptz[], reach_m real)
returns bigint[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- One plan, whatever the statistics say: a few index look-ups per raise, candidate and alert.
set enable_seqscan = off -- the tables are empty on the first day and large soon after
set enable_hashjoin = off -- would read a whole table
set enable_mergejoin = off -- likewise
set enable_material = off -- likewise, for a nested loop
set enable_bitmapscan = off -- each look-up returns few rows, in order
set max_parallel_workers_per_gather = 0 -- starting a worker takes longer than the statement
set jit = off -- compiling takes longer than the statement
set plan_cache_mode = force_generic_plan -- planning for each batch takes longer than the statement
as $$
declare
    by_input bigint[] := mobeye.verified_by_input(incidents, devices, raised_from, raised_until);
    by_device bigint[] := mobeye.verified_by_device(incidents, devices, raised_from, raised_until, reach_m);
    verified bigint[];
begin
    if cardinality(by_input || by_device) = 0 then
        return '{}';
    end if;
    verified := array(
        select i.incident_id from mobeye.incident i
         where i.incident_id = any (by_input || by_device) and i.verified_by is null and i.status <> 'closed'
         order by i.incident_id for update);
    -- The daemon notifies listeners itself, after the commit.
    with done as (
        update mobeye.incident i
           set verified_by = case when i.incident_id = any (by_input) then 'second_input' else 'second_device' end,
               priority = least(i.priority, i.verify_priority)
         where i.incident_id = any (verified)
        returning i.*
    ), noted as (
        insert into mobeye.incident_history (incident_id, at, actor, action, note)
        select d.incident_id, clock_timestamp(), 'mobeyed', 'verified', d.verified_by from done d
    )
    insert into mobeye.change (at, incident_id, op, status, priority, category)
    select clock_timestamp(), d.incident_id, 'verified', d.status, d.priority, d.category from done d;
    return verified;
end
$$;
comment on function mobeye.verify_incidents(bigint[], text[], timestamptz[], timestamptz[], real) is
    'Verifies incidents by a second input or device: those that raised something, and those near them. Returns the ids of '
    'the incidents that it verified.';

-- After a crash or an outage between a commit and its verification. since: everything stored before that is verified, give or
-- take a minute, since the daemon reports only every 20 seconds. Any device of an incident may have raised what was not
-- verified, and it may verify others nearby, whose rule has a larger radius. Verified incidents are left out, since there may
-- be thousands: what was raised in them verifies the others from their side.
create or replace function mobeye.verify_recent(since timestamptz) returns bigint[]
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.verify_incidents(
               coalesce(array_agg(i.incident_id), '{}'), array_agg(d.device_id), array_agg(i.first_seen), array_agg(i.last_seen),
               (select max(o.verify_radius_m) from mobeye.incident o
                 where o.status <> 'closed' and o.category = 'alarm' and not o.drill))
      from mobeye.incident i
     cross join lateral (
        select i.device_id
        union
        select c.device_id from mobeye.incident_condition c where c.incident_id = i.incident_id) as d
     where i.stored_at >= since - coalesce(i.verify_within, '0') - interval '1 minute'
       and i.status <> 'closed' and i.category = 'alarm' and not i.drill and i.verified_by is null
$$;
comment on function mobeye.verify_recent(timestamptz) is
    'Verifies the incidents of the alerts that were stored from a minute before that time on, and those near them.';
