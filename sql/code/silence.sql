-- Silence: daemons report until when they have stored what they received, and devices and endpoints that have not reported
-- for too long get an incident.

-- The arrays belong together: endpoints, expect_every (null: not supervised) and last_received (null: nothing since the
-- daemon started). Endpoints that the daemon no longer has are deleted. unverified_for: how long a raise has been waiting for
-- its verification; null: what was stored before a crash or an outage is waiting too.
create or replace function mobeye.report_daemon(journal uuid, instance text, accepting_since timestamptz,
                                            applied_until timestamptz, endpoints text[], expect_every interval[],
                                            last_received timestamptz[], unverified_for interval) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.daemon as d (journal, instance, alive_at, applied_until, gap_until, verified_until)
    values (report_daemon.journal, report_daemon.instance, now(), report_daemon.applied_until, accepting_since,
            coalesce(now() - unverified_for,
                     least(accepting_since, (select p.updated_at from mobeye.journal_position p where p.journal = report_daemon.journal))))
    on conflict on constraint daemon_pkey do update
       set instance = excluded.instance,
           alive_at = excluded.alive_at,
           applied_until = excluded.applied_until,
           gap_until = case when excluded.gap_until - d.alive_at > interval '5 minutes'
                            then excluded.gap_until else d.gap_until end,
           verified_until = coalesce(now() - unverified_for, d.verified_until);
    insert into mobeye.endpoint_status as s (instance, endpoint, expect_every, last_received_at)
    select report_daemon.instance, e.endpoint, e.expect_every, e.last_received
      from unnest(endpoints, report_daemon.expect_every, last_received) as e (endpoint, expect_every, last_received)
    on conflict on constraint endpoint_status_pkey do update
       set expect_every = excluded.expect_every,
           last_received_at = greatest(s.last_received_at, excluded.last_received_at);
    -- A silent one must first be found to be no longer supervised, so that its incident ends: watch_endpoints().
    update mobeye.endpoint_status s set expect_every = null
     where (s.instance = report_daemon.instance and s.endpoint <> all (endpoints)
            or not exists (select from mobeye.daemon d where d.instance = s.instance)) -- it was renamed
       and s.silent_since is not null and s.expect_every is not null;
    delete from mobeye.endpoint_status s
     where (s.instance = report_daemon.instance and s.endpoint <> all (endpoints)
            or not exists (select from mobeye.daemon d where d.instance = s.instance))
       and s.silent_since is null;
end
$$;
comment on function mobeye.report_daemon(uuid, text, timestamptz, timestamptz, text[], interval[], timestamptz[], interval) is
    'A daemon reports that it is alive, until when it has stored and verified what it received, and when its endpoints last '
    'received something.';

-- The incident of a silence has a special key: a device or an endpoint has at most one.
create or replace function mobeye.silence_key(what text, name text) returns uuid
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select md5('silence ' || what || ' ' || name)::uuid $$;
comment on function mobeye.silence_key(text, text) is 'The incident key of the silence of a device or an endpoint.';

create or replace function mobeye.open_silence(what text, name text, since timestamptz,
                                               placement_id bigint default null) returns bigint
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    opened bigint;
    place record;
begin
    select p.geom, coalesce(p.team, (select t.team from mobeye.team_area t
                                      where t.layer || ':' || t.code = any (mobeye.areas_at(p.geom, now()))
                                      order by t.team limit 1)) as team,
           coalesce(p.secret, false) as secret, p.team as secret_team, p.cell
      into place from mobeye.placement p where p.placement_id = open_silence.placement_id;
    insert into mobeye.incident (incident_key, category, priority, kind, device_id, team, first_seen, last_seen,
                                 last_received_at, active, alert_count, geom, location_source, areas, placement_id, secret,
                                 secret_team, cell)
    values (mobeye.silence_key(what, name), 'service', 4, 'comms', case what when 'device' then name end,
            place.team, since, since, now(), 1, 0, place.geom,
            case when place.geom is null then 'none' else 'placement' end,
            coalesce(mobeye.areas_at(place.geom, now()), '{}'), open_silence.placement_id, coalesce(place.secret, false),
            case when place.secret then place.secret_team end, case when place.secret then place.cell end)
    on conflict do nothing
    returning incident_id into opened;
    if opened is not null then
        perform mobeye.add_history(opened, 'status', what || ' ' || name || ' is silent', to_status => 'new',
                                   actor => 'mobeyed');
        perform mobeye.add_change(opened, 'new');
    end if;
    return opened;
end
$$;
comment on function mobeye.open_silence(text, text, timestamptz, bigint) is
    'Opens the incident of a device or endpoint that has gone silent; null if it has one already.';

create or replace function mobeye.end_silence(what text, name text, at timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.close_incident(i.incident_id, 'restored', at)
      from mobeye.incident i
     where i.incident_key = mobeye.silence_key(what, name) and i.status <> 'closed'
$$;
comment on function mobeye.end_silence(text, text, timestamptz) is
    'Closes the incident of a silence that is over, as restored.';

-- Silence can be judged until the time before which every daemon that was alive within a day has stored what it received.
create or replace function mobeye.judged_until(out until timestamptz, out gap_until timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select min(d.applied_until), max(d.gap_until)
      from mobeye.daemon d
     where d.alive_at > now() - interval '1 day'
$$;
comment on function mobeye.judged_until() is
    'The time until which it is known what was received, and the end of the last gap in which a daemon received nothing.';

create or replace function mobeye.watch_endpoints() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    judged record;
    silent record;
    returned record;
    opened bigint;
    n bigint := 0;
begin
    select * into judged from mobeye.judged_until();
    for returned in
        select s.instance, s.endpoint, s.last_received_at from mobeye.endpoint_status s
         where s.silent_since is not null and (s.last_received_at > s.silent_since or s.expect_every is null)
         for update
    loop
        perform mobeye.end_silence('endpoint', returned.instance || '/' || returned.endpoint,
                                   coalesce(returned.last_received_at, now()));
        update mobeye.endpoint_status s set silent_since = null, back_at = now()
         where s.instance = returned.instance and s.endpoint = returned.endpoint;
        -- Its devices may report again as well: they are judged from now on.
        update mobeye.device_status d set silent_since = null
          from mobeye.incident i
         where d.endpoint = returned.endpoint and d.silent_since is not null
           and i.incident_key = mobeye.silence_key('device', d.device_id) and i.outcome = 'merged'
           and not exists (select from mobeye.incident later
                            where later.incident_key = i.incident_key and later.incident_id > i.incident_id);
    end loop;
    for silent in
        select s.instance, s.endpoint,
               greatest(s.last_received_at, s.since, p.gap_until) + s.expect_every as since
          from mobeye.endpoint_status s
          join lateral (select max(j.gap_until) as gap_until, min(j.applied_until) as applied_until
                          from mobeye.daemon j
                         where j.instance = s.instance and j.alive_at > now() - interval '1 day') p
            on p.applied_until is not null
         where s.silent_since is null and s.expect_every is not null
           and greatest(s.last_received_at, s.since, p.gap_until) + s.expect_every < least(p.applied_until, judged.until)
         for update of s
    loop
        opened := mobeye.open_silence('endpoint', silent.instance || '/' || silent.endpoint, silent.since);
        update mobeye.endpoint_status s set silent_since = silent.since
         where s.instance = silent.instance and s.endpoint = silent.endpoint;
        -- Its own incident replaces those of the devices that last reported there, unless another daemon has an endpoint of
        -- that name that is not silent: they may have reported to that one.
        perform mobeye.close_incident(i.incident_id, 'merged', merged_into => opened)
           from mobeye.device_status d
           join mobeye.incident i on i.incident_key = mobeye.silence_key('device', d.device_id)
          where d.silent_since is not null and d.endpoint = silent.endpoint and i.status <> 'closed'
            and not exists (select from mobeye.endpoint_status other
                             where other.endpoint = silent.endpoint and other.instance <> silent.instance
                               and other.silent_since is null);
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.watch_endpoints() is
    'Opens an incident for each endpoint that has gone silent, and closes that of each endpoint that has returned. Returns '
    'how many went silent.';

create or replace function mobeye.watch_devices() returns setof text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    judged record;
    silent record;
    received timestamptz;
begin
    select * into judged from mobeye.judged_until();
    for silent in
        select d.device_id, p.placement_id, last.since as last_at, last.since + d.heartbeat + d.grace as since,
               s.last_received_at
          from mobeye.device d
          join mobeye.placement p on p.device_id = d.device_id and p.during @> now()
          left join mobeye.device_status s on s.device_id = d.device_id
          left join lateral (select max(e.back_at) as back_at, bool_and(e.silent_since is not null) as silent
                               from mobeye.endpoint_status e where e.endpoint = s.endpoint) e on true
          cross join lateral (select greatest(s.last_received_at, d.registered_at, lower(p.during), judged.gap_until,
                                              e.back_at) as since) last
         where d.heartbeat is not null and d.state not in ('repair', 'retired')
           and s.silent_since is null and e.silent is not true
           and last.since + d.heartbeat + d.grace < judged.until
         order by d.device_id -- the order in which store_device_status() locks them
    loop
        -- The daemon may have crashed after it stored an alert and before it stored the status: the next cycle judges by
        -- that alert.
        select max(a.received_at) into received from mobeye.alert a
         where a.device_id = silent.device_id and a.occurred_at > silent.last_at - interval '1 day'
           and a.received_at > silent.last_at;
        -- A device that has never reported has no status yet. A device that reports at this moment is not silent.
        insert into mobeye.device_status as s (device_id, registered, first_received_at, last_received_at,
                                               last_occurred_at, endpoint, source, kind, silent_since)
        values (silent.device_id, true, coalesce(received, '-infinity'), coalesce(received, '-infinity'),
                coalesce(received, '-infinity'), '', '', 'comms', case when received is null then silent.since end)
        on conflict (device_id) do update
           set silent_since = excluded.silent_since,
               last_received_at = greatest(s.last_received_at, excluded.last_received_at)
         where s.last_received_at is not distinct from silent.last_received_at;
        continue when received is not null or not found;
        perform mobeye.open_silence('device', silent.device_id, silent.since, silent.placement_id);
        return next silent.device_id;
    end loop;
    -- Retrieved, sent to repair, or no longer supervised: the silence is over. So is the silence at a home that the device has
    -- left; at the next home it is judged again, from the start of the placement.
    for silent in
        select s.device_id from mobeye.device_status s
         where s.silent_since is not null
           and (not exists (select from mobeye.device d join mobeye.placement p on p.device_id = d.device_id
                             where d.device_id = s.device_id and p.during @> now() and d.heartbeat is not null
                               and d.state not in ('repair', 'retired'))
                or exists (select from mobeye.incident i join mobeye.placement p on p.placement_id = i.placement_id
                            where i.incident_key = mobeye.silence_key('device', s.device_id) and i.status <> 'closed'
                              and not p.during @> now()))
         order by s.device_id for update skip locked
    loop
        perform mobeye.end_silence('device', silent.device_id, now());
        update mobeye.device_status s set silent_since = null where s.device_id = silent.device_id;
    end loop;
end
$$;
comment on function mobeye.watch_devices() is
    'Opens an incident for each placed device that has gone silent, and returns those devices. The next alert ends a silence.';
