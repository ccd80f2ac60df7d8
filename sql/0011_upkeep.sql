-- Upkeep: what a daemon does every 20 seconds. Signs of life of daemons and endpoints, silence, incidents that nobody
-- touched or acknowledged, retention, and erasure on a person's request.
-- By hand, backwards: drop the tables and functions below.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- What each daemon says of itself. Silence is judged up to where every living daemon has stored what it received.
create table if not exists mobeye.daemon (
    journal uuid primary key,
    instance text not null,
    alive_at timestamptz not null,
    applied_until timestamptz not null,
    gap_until timestamptz not null
);
comment on table mobeye.daemon is 'The daemons, by their journals, and when each last reported.';
comment on column mobeye.daemon.applied_until is 'What was received before this time is stored.';
comment on column mobeye.daemon.gap_until is
    'End of the last time in which the daemon took no alerts for more than 5 minutes.';

create table if not exists mobeye.endpoint_status (
    instance text not null,
    endpoint text not null,
    expect_every interval,
    since timestamptz not null default now(),
    last_received_at timestamptz,
    silent_since timestamptz,
    back_at timestamptz,
    primary key (instance, endpoint)
);
comment on table mobeye.endpoint_status is 'The endpoints of each daemon, and when something last came in there.';
comment on column mobeye.endpoint_status.since is 'When a daemon first had it.';
comment on column mobeye.endpoint_status.silent_since is 'Since when it is silent; null: it is not.';
comment on column mobeye.endpoint_status.back_at is 'When its last silence ended: its devices are judged anew from then.';

-- endpoints, expect_every (null: it may be silent for ever) and last_received (null: nothing since the daemon began) go
-- together. Endpoints that the daemon no longer has are forgotten.
create or replace function mobeye.report_in(journal uuid, instance text, accepting_since timestamptz,
                                            applied_until timestamptz, endpoints text[], expect_every interval[],
                                            last_received timestamptz[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.daemon as d (journal, instance, alive_at, applied_until, gap_until)
    values (report_in.journal, report_in.instance, now(), report_in.applied_until, accepting_since)
    on conflict on constraint daemon_pkey do update
       set instance = excluded.instance,
           alive_at = excluded.alive_at,
           applied_until = excluded.applied_until,
           gap_until = case when excluded.gap_until - d.alive_at > interval '5 minutes'
                            then excluded.gap_until else d.gap_until end;
    insert into mobeye.endpoint_status as s (instance, endpoint, expect_every, last_received_at)
    select report_in.instance, e.endpoint, e.expect_every, e.last_received
      from unnest(endpoints, report_in.expect_every, last_received) as e (endpoint, expect_every, last_received)
    on conflict on constraint endpoint_status_pkey do update
       set expect_every = excluded.expect_every,
           last_received_at = greatest(s.last_received_at, excluded.last_received_at);
    delete from mobeye.endpoint_status s
     where s.instance = report_in.instance and s.endpoint <> all (endpoints) and s.silent_since is null;
end
$$;
comment on function mobeye.report_in(uuid, text, timestamptz, timestamptz, text[], interval[], timestamptz[]) is
    'A daemon reports that it lives, how far it has stored what it received, and when its endpoints last heard something.';

-- The areas of a place: of each layer the one of the newest vintage that holds at that time, on a border the lowest code.
create or replace function mobeye.areas_at(geom public.geometry, at timestamptz) returns text[]
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(array_agg(layer || ':' || code order by layer), '{}')
      from (select distinct on (a.layer) a.layer, a.code
              from mobeye.area a
             where st_covers(a.geom, areas_at.geom) and a.valid @> at
             order by a.layer, a.vintage desc nulls last, a.code collate "C") as found
$$;
comment on function mobeye.areas_at(public.geometry, timestamptz) is
    'The areas that cover a place, as layer:code, at most one a layer.';

-- In the name of the system: nobody decided it, so outcome is restored, merged or unattended.
create or replace function mobeye.close_by_system(incident_id bigint, outcome text, at timestamptz,
                                                  merged_into bigint default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    before text;
begin
    select i.status into before from mobeye.incident i where i.incident_id = close_by_system.incident_id for update;
    if before is null or before = 'closed' then
        return;
    end if;
    update mobeye.incident i
       set status = 'closed', accepting = false, closed_at = clock_timestamp(), closed_by_person = false,
           outcome = close_by_system.outcome, merged_into = close_by_system.merged_into,
           restored_at = case when close_by_system.outcome = 'restored' then coalesce(i.restored_at, at)
                              else i.restored_at end,
           active = case when close_by_system.outcome = 'restored' then 0 else i.active end
     where i.incident_id = close_by_system.incident_id;
    insert into mobeye.incident_history (incident_id, actor, action, from_status, to_status, outcome)
    values (close_by_system.incident_id, 'mobeyed', 'status', before, 'closed', close_by_system.outcome);
    perform mobeye.note_change(close_by_system.incident_id, 'status');
end
$$;
comment on function mobeye.close_by_system(bigint, text, timestamptz, bigint) is
    'Closes an incident that is open, by the system: restored, merged or unattended.';

-- Silence. An incident of it has a key of its own, so a device or an endpoint has at most one.
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
    made bigint;
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
    returning incident_id into made;
    if made is not null then
        insert into mobeye.incident_history (incident_id, actor, action, to_status, note)
        values (made, 'mobeyed', 'status', 'new', what || ' ' || name || ' is silent');
        perform mobeye.note_change(made, 'new');
    end if;
    return made;
end
$$;
comment on function mobeye.open_silence(text, text, timestamptz, bigint) is
    'Makes the incident of a device or endpoint that has gone silent; null where it has one.';

create or replace function mobeye.end_silence(what text, name text, at timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.close_by_system(i.incident_id, 'restored', at)
      from mobeye.incident i
     where i.incident_key = mobeye.silence_key(what, name) and i.status <> 'closed'
$$;
comment on function mobeye.end_silence(text, text, timestamptz) is
    'Closes the incident of a silence that is over, as restored.';

-- Up to where silence can be judged: every daemon that lived within a day has stored what it received before then.
create or replace function mobeye.judged_until(out until timestamptz, out gap_until timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select min(d.applied_until), max(d.gap_until)
      from mobeye.daemon d
     where d.alive_at > now() - interval '1 day'
$$;
comment on function mobeye.judged_until() is
    'Before which time it is known what came in, and when the last time ended in which a daemon took nothing.';

create or replace function mobeye.watch_endpoints() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    judged record;
    silent record;
    back record;
    made bigint;
    n bigint := 0;
begin
    select * into judged from mobeye.judged_until();
    for back in
        select s.instance, s.endpoint, s.last_received_at from mobeye.endpoint_status s
         where s.silent_since is not null and (s.last_received_at > s.silent_since or s.expect_every is null)
         for update
    loop
        perform mobeye.end_silence('endpoint', back.instance || '/' || back.endpoint,
                                   coalesce(back.last_received_at, now()));
        update mobeye.endpoint_status s set silent_since = null, back_at = now()
         where s.instance = back.instance and s.endpoint = back.endpoint;
        -- Its devices may be heard again as well: they are judged from now on.
        update mobeye.device_status d set silent_since = null
          from mobeye.incident i
         where d.endpoint = back.endpoint and d.silent_since is not null
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
        made := mobeye.open_silence('endpoint', silent.instance || '/' || silent.endpoint, silent.since);
        update mobeye.endpoint_status s set silent_since = silent.since
         where s.instance = silent.instance and s.endpoint = silent.endpoint;
        -- Its own incident stands for those of the devices that were last heard there.
        perform mobeye.close_by_system(i.incident_id, 'merged', now(), made)
           from mobeye.device_status d
           join mobeye.incident i on i.incident_key = mobeye.silence_key('device', d.device_id)
          where d.silent_since is not null and d.endpoint = silent.endpoint and i.status <> 'closed';
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.watch_endpoints() is
    'Makes an incident for each endpoint that has gone silent, and closes that of each that is back; returns how many went.';

create or replace function mobeye.watch_devices() returns setof text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    judged record;
    silent record;
    heard timestamptz;
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
         order by d.device_id -- as note_devices() locks them
    loop
        -- A sign of life that was stored, and not noted since the daemon crashed: the next round judges by it.
        select max(a.received_at) into heard from mobeye.alert a
         where a.device_id = silent.device_id and a.occurred_at > silent.last_at - interval '1 day'
           and a.received_at > silent.last_at;
        -- A device that was never heard has no status yet. One that is heard at this moment is not silent.
        insert into mobeye.device_status as s (device_id, registered, first_received_at, last_received_at,
                                               last_occurred_at, endpoint, source, kind, silent_since)
        values (silent.device_id, true, coalesce(heard, '-infinity'), coalesce(heard, '-infinity'),
                coalesce(heard, '-infinity'), '', '', 'comms', case when heard is null then silent.since end)
        on conflict (device_id) do update
           set silent_since = excluded.silent_since,
               last_received_at = greatest(s.last_received_at, excluded.last_received_at)
         where s.last_received_at is not distinct from silent.last_received_at;
        continue when heard is not null or not found;
        perform mobeye.open_silence('device', silent.device_id, silent.since, silent.placement_id);
        return next silent.device_id;
    end loop;
    -- Retrieved, sent to repair, or no longer supervised: it is not missed any more.
    for silent in
        select s.device_id from mobeye.device_status s
         where s.silent_since is not null
           and not exists (select from mobeye.device d join mobeye.placement p on p.device_id = d.device_id
                            where d.device_id = s.device_id and p.during @> now() and d.heartbeat is not null
                              and d.state not in ('repair', 'retired'))
         order by s.device_id for update skip locked
    loop
        perform mobeye.end_silence('device', silent.device_id, now());
        update mobeye.device_status s set silent_since = null where s.device_id = silent.device_id;
    end loop;
end
$$;
comment on function mobeye.watch_devices() is
    'Makes an incident for each placed device that has gone silent; returns those. What ends a silence is the next alert.';

-- Incidents that wait for people.
create or replace function mobeye.mark_overdue() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    late bigint;
    n bigint := 0;
begin
    for late in
        update mobeye.incident i set overdue_since = now()
         where i.incident_id in (
               select w.incident_id from mobeye.incident w
                where w.status in ('new', 'reopened') and w.overdue is not null and w.overdue_since is null
                  and w.created_at + w.overdue < now()
                order by w.incident_id for update skip locked)
        returning i.incident_id
    loop
        perform mobeye.note_change(late, 'overdue');
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.mark_overdue() is
    'Marks incidents that nobody acknowledged in the time that their rule gives; returns how many.';

create or replace function mobeye.close_unattended() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    left_alone bigint;
    n bigint := 0;
begin
    for left_alone in
        select i.incident_id from mobeye.incident i
         where i.status = 'new' and i.last_received_at < now() - interval '7 days' and i.alert_count > 0
           and i.verified_by is distinct from 'person' and i.on_scene_at is null and i.external_ref is null
           and not exists (select from mobeye.incident_history h
                            where h.incident_id = i.incident_id and h.actor <> 'mobeyed' and h.action <> 'look')
         order by i.incident_id limit 1000
         for update skip locked
    loop
        perform mobeye.close_by_system(left_alone, 'unattended', now());
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.close_unattended() is
    'Closes incidents that nobody touched (verified, noted, linked, muted or held) and that had no alert for 7 days, as '
    'unattended; returns how many. A silence, which has no alerts, stays until it ends.';

create index if not exists incident_waiting on mobeye.incident (created_at) where status in ('new', 'reopened');

-- What is still active when a mute's time is over appears in the queue again.
alter table mobeye.mute add column if not exists over boolean not null default false;
comment on column mobeye.mute.over is 'Its end is in the stream of changes.';

create or replace function mobeye.end_mutes() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ended record;
    affected bigint;
    n bigint := 0;
begin
    for ended in
        select m.mute_id, m.ended_at from mobeye.mute m
         where not m.over and not exists (select from mobeye.active_mute a where a.mute_id = m.mute_id)
         order by m.mute_id for update of m skip locked
    loop
        update mobeye.mute m set over = true, until = least(m.until, clock_timestamp()) where m.mute_id = ended.mute_id;
        continue when ended.ended_at is not null;
        for affected in
            select i.incident_id from mobeye.incident i join mobeye.mute m on m.device_id = i.device_id or m.area = any (i.areas)
             where m.mute_id = ended.mute_id and i.status <> 'closed' and mobeye.mute_applies(m.mute_id, i.incident_id)
             order by i.incident_id
        loop
            perform mobeye.note_change(affected, 'mute');
            insert into mobeye.incident_history (incident_id, actor, action, note)
            values (affected, 'mobeyed', 'mute', 'the mute is over');
        end loop;
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.end_mutes() is
    'Says of each open incident under a mute whose time is over that it is back; returns how many mutes ended.';

-- What is of no use any more, and says nothing of anybody.
create or replace function mobeye.tidy(alarm interval) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
    total bigint := 0;
begin
    perform mobeye.check_keep(array[alarm]);
    -- Nothing joins an incident that accepts no more, once it is past its gap; an open one is still to be restored by
    -- those that are active, and whether others than a muted device joined it is still asked.
    delete from mobeye.incident_thread t
     using (select o.thread, o.incident_id, i.status = 'closed' as closed
              from mobeye.incident_thread o
              join mobeye.incident i on i.incident_id = o.incident_id
             where not i.accepting and i.last_seen + coalesce(i.gap, '0') < now() - interval '1 day'
               and i.status = 'closed'
             order by i.incident_id limit 100000
               for update of i skip locked) as done
     where t.thread = done.thread and t.incident_id = done.incident_id and (done.closed or not t.active);
    get diagnostics n = row_count;
    total := total + n;
    -- Nor would alerts be stored whose thread leads to an incident that somebody deleted by hand.
    delete from mobeye.incident_thread t
     where not exists (select from mobeye.incident i where i.incident_id = t.incident_id);
    get diagnostics n = row_count;
    total := total + n;
    -- Whole versions: a daemon that knows an older one reads everything.
    delete from mobeye.registry_log l
     where l.at < now() - interval '90 days'
       and l.version < coalesce((select min(k.version) from mobeye.registry_log k
                                  where k.at >= now() - interval '90 days'), 9223372036854775807);
    get diagnostics n = row_count;
    total := total + n;
    delete from mobeye.change c
     where c.entry in (select o.entry from mobeye.change o order by o.entry limit 100000) and c.at < now() - alarm;
    get diagnostics n = row_count;
    return total + n;
end
$$;
comment on function mobeye.tidy(interval) is
    'Deletes threads of incidents that are over, changes of the registry from before 90 days, and changes of incidents '
    'from before the time that alarms are kept; at most 100,000 each. Returns how many rows.';

-- What the daemon that looks after it all did last, for every daemon's metrics, mobeyectl status and doctor.
create table if not exists mobeye.maintenance (
    job text primary key,
    every interval not null,
    first_at timestamptz not null default now(),
    succeeded_at timestamptz,
    failed_at timestamptz,
    error text
);
comment on table mobeye.maintenance is 'The jobs of the upkeep: when each last succeeded, and why it fails.';
comment on column mobeye.maintenance.every is 'How often it is done.';
comment on column mobeye.maintenance.first_at is 'When a daemon first did it.';
comment on column mobeye.maintenance.succeeded_at is 'When it last succeeded; null: never.';
comment on column mobeye.maintenance.failed_at is 'When it last failed; null: never.';
comment on column mobeye.maintenance.error is 'Why it failed; null: it succeeded last.';

create or replace view mobeye.maintenance_state as
select job, every, succeeded_at, error,
       coalesce(succeeded_at, first_at) < now() - greatest(3 * every, interval '10 minutes') as late,
       coalesce(succeeded_at, first_at) < now() - interval '1 day' as day_late
  from mobeye.maintenance;
comment on view mobeye.maintenance_state is
    'The jobs of the upkeep; late: three times in a row, and for 10 minutes, none succeeded.';
-- The arrays go together and name every job. errors: null where it was not done this time, empty where it succeeded.
create or replace function mobeye.report_maintenance(jobs text[], every interval[], errors text[])
returns setof mobeye.maintenance_state
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into mobeye.maintenance as m (job, every, succeeded_at, failed_at, error)
    select j.job, j.every, case when j.error = '' then now() end, case when j.error <> '' then now() end,
           nullif(j.error, '')
      from unnest(jobs, report_maintenance.every, errors) as j (job, every, error)
     where j.error is not null
    on conflict (job) do update
       set every = excluded.every,
           succeeded_at = coalesce(excluded.succeeded_at, m.succeeded_at),
           failed_at = coalesce(excluded.failed_at, m.failed_at),
           error = excluded.error;
    delete from mobeye.maintenance m where m.job <> all (jobs);
    select * from mobeye.maintenance_state;
$$;
comment on function mobeye.report_maintenance(text[], interval[], text[]) is
    'Notes which jobs of the upkeep were done, and how each ended; jobs that no longer exist are forgotten. Returns how '
    'all stand.';

grant select on mobeye.maintenance_state to mobeye_ingest;

grant execute on function mobeye.report_maintenance(text[], interval[], text[]), mobeye.tidy(interval), mobeye.end_mutes(),
    mobeye.report_in(uuid, text, timestamptz, timestamptz, text[], interval[], timestamptz[]),
    mobeye.watch_endpoints(), mobeye.watch_devices(), mobeye.mark_overdue(), mobeye.close_unattended() to mobeye_ingest;
