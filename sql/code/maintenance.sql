-- Maintenance: incidents that wait for people, and rows that are no longer needed.

-- With the rights of the daemon, which sees when sessions of its own role began. The row outlives the server, and a pid may be
-- reused by a server process or by a person's session, which do not lead. A session whose start is not visible counts only if
-- it may be another daemon's.
create or replace function mobeye.try_to_lead() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    update mobeye.leader l set pid = a.pid, backend_start = a.backend_start, since = now()
      from pg_stat_activity a
     where l.name = 'maintenance' and a.pid = pg_backend_pid()
       and not exists (select from pg_stat_activity o
                        where o.pid = l.pid
                          and coalesce(o.backend_start = l.backend_start,
                                       exists (select from pg_roles r
                                                where r.oid = o.usesysid and not r.rolsuper
                                                  and pg_has_role(r.oid, 'mobeye_ingest', 'member'))));
    return exists (select from mobeye.leader l
                     join pg_stat_activity a on a.pid = l.pid and a.backend_start = l.backend_start
                    where l.name = 'maintenance' and a.pid = pg_backend_pid());
end
$$;
comment on function mobeye.try_to_lead() is
    'Whether the calling connection leads maintenance. It leads until it ends; if the last leader has ended, it takes over.';

-- A long job is not reported before it ends, but its session is active.
create or replace function mobeye.is_led() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(greatest((select l.since from mobeye.leader l where l.name = 'maintenance'),
                             (select max(s.succeeded_at) from mobeye.maintenance_state s)) > now() - interval '5 minutes',
                    false)
           or exists (select from mobeye.leader l
                        join pg_stat_activity a on a.pid = l.pid and a.backend_start = l.backend_start
                       where l.name = 'maintenance' and a.state = 'active')
$$;
comment on function mobeye.is_led() is
    'Whether a daemon took the lead or finished a maintenance job within the last 5 minutes, or is running one.';

create or replace function mobeye.mark_overdue() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    overdue_id bigint;
    n bigint := 0;
begin
    for overdue_id in
        update mobeye.incident i
           set overdue_since = coalesce(i.overdue_since, now()), overdue_step = w.passed
          from (select o.incident_id,
                       (select count(*) from unnest(o.overdue) as step
                         where coalesce(o.reopened_at, o.created_at) + step < now()) as passed
                  from mobeye.incident o
                 where o.status in ('new', 'reopened')
                   and coalesce(o.reopened_at, o.created_at) + o.overdue[o.overdue_step + 1] < now()
                   and exists (select from mobeye.incident_full f
                                where f.incident_id = o.incident_id and f.muted_until is null
                                  and (f.restored_at is null or not mobeye.restored_in_mute(f.incident_id)))
                 order by o.incident_id for update skip locked) as w
         where i.incident_id = w.incident_id
        returning i.incident_id
    loop
        perform mobeye.add_change(overdue_id, 'overdue');
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.mark_overdue() is
    'Marks the incidents that nobody acknowledged within the time that their rule allows, and announces each further step '
    'of it that has passed; returns how many. One that is muted is marked when the mute is over, if it is in the queue then.';

create or replace function mobeye.close_unattended() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    unattended bigint;
    n bigint := 0;
begin
    for unattended in
        select i.incident_id from mobeye.incident i
         where i.status <> 'closed' and i.last_received_at < now() - interval '7 days' and i.alert_count > 0
           and (i.status = 'new' and i.verified_by is distinct from 'person' and i.on_scene_at is null and i.external_ref is null
                and not exists (select from mobeye.incident_history h
                                 where h.incident_id = i.incident_id and h.actor <> 'mobeyed' and h.action <> 'look'
                                   -- Ending a mute does not touch an incident, nor does muting again what a mute has hidden
                                   -- since it began.
                                   and (h.action <> 'mute'
                                        or h.note is distinct from 'unmuted' and not mobeye.muted_since(i, i.first_received_at, h.at)))
                -- Restored incidents appear when the mute ends, unless they began under it (below); of active ones only the
                -- last of each device, which may never send a restore: its earlier ones would flood the queue.
                and not (mobeye.was_muted(i, now() - interval '7 days')
                         and (i.restored_at is not null
                              or exists (select from mobeye.incident_condition c
                                          where c.incident_id = i.incident_id and c.active
                                            and not exists (select from mobeye.incident l
                                                             where l.incident_key = i.incident_key and l.incident_id > i.incident_id
                                                               and l.device_id = c.device_id and l.active > 0))))
                -- It is in no queue: nobody else would ever close it.
                or i.restored_at is not null and mobeye.restored_in_mute(i.incident_id))
         order by i.incident_id limit 1000
         for update skip locked
    loop
        perform mobeye.close_incident(unattended, 'unattended');
        n := n + 1;
    end loop;
    return n;
end
$$;
comment on function mobeye.close_unattended() is
    'Closes as unattended the incidents that had no alert for 7 days and that nobody touched (verified, noted, linked, muted or '
    'held), or that began and were restored under a mute and were not touched otherwise; returns how many. The last one of each device '
    'that is active, and one that was restored but began before the mute, stay open while they are muted, and for 7 days after. A silence, which has no alerts, stays open until it ends.';

create or replace function mobeye.purge(alarm interval, wall timestamptz default null) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
    total bigint := 0;
begin
    perform mobeye.check_clocks(wall);
    perform mobeye.check_keep(array[alarm], '1 day');
    -- No alert joins an incident that no longer accepts alerts once its gap has passed. Conditions of open incidents stay:
    -- they may still be restored, and they show whether devices other than a muted one joined.
    delete from mobeye.incident_condition c
     using (select o.condition, o.incident_id
              from mobeye.incident_condition o
              join mobeye.incident i on i.incident_id = o.incident_id
             where not i.accepting and i.last_seen + coalesce(i.gap, '0') < now() - interval '1 day'
               and i.status = 'closed'
             order by i.incident_id limit 100000
               for update of i skip locked) as done
     where c.condition = done.condition and c.incident_id = done.incident_id;
    get diagnostics n = row_count;
    total := total + n;
    -- Otherwise alerts whose condition refers to an incident that was deleted by hand could not be stored.
    delete from mobeye.incident_condition c
     where not exists (select from mobeye.incident i where i.incident_id = c.incident_id);
    get diagnostics n = row_count;
    total := total + n;
    -- Whole versions: a daemon that knows only an older one reads everything.
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
comment on function mobeye.purge(interval, timestamptz) is
    'Deletes the conditions of incidents that are over, versions of the registry older than 90 days, and changes of '
    'incidents older than the retention of alarms; at most 100,000 rows each. Returns how many rows.';

create or replace view mobeye.maintenance_state as
select job, every, succeeded_at, error,
       coalesce(succeeded_at, first_at) < now() - greatest(3 * every, interval '10 minutes') as late,
       coalesce(succeeded_at, first_at) < now() - interval '1 day' as day_late
  from mobeye.maintenance;
comment on view mobeye.maintenance_state is
    'The jobs of maintenance; late: the last success is three intervals, and at least 10 minutes, ago.';

-- The arrays belong together and name every job. errors: null if the job did not run this time, empty if it succeeded.
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
    'Records which jobs ran and how each ended; deletes jobs that no longer exist. Returns the state of all jobs.';
