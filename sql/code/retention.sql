-- Retention: erasing what is past its time, class by class, and legal holds.

create or replace function mobeye.erase_incidents(ids bigint[], at_request boolean default false) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    -- From now on no daemon adds another condition to them.
    perform from mobeye.incident i where i.incident_id = any (ids) order by i.incident_id for update;
    insert into mobeye.incident_stats as f (month, wijk_code, category, kind, outcome, incidents, alerts)
    select l.month, l.wijk_code, l.category, l.kind, l.outcome, count(*), sum(l.alert_count)
      from mobeye.live_incident_stats l where l.incident_id = any (ids)
     group by l.month, l.wijk_code, l.category, l.kind, l.outcome
    on conflict on constraint incident_stats_pkey do update
       set incidents = f.incidents + excluded.incidents, alerts = f.alerts + excluded.alerts;
    perform mobeye.keep_alarm_figures(ids);
    -- Its alerts that are kept for longer stay visible to those who saw it: the team, or without one those of its areas. At a
    -- person's request the areas are those of the home.
    update mobeye.alert a
       set incident_id = null, team = coalesce(a.team, i.team),
           areas = case when coalesce(a.team, i.team) is null and not at_request then i.areas end
      from mobeye.incident i
     where i.incident_id = any (ids) and a.incident_id = i.incident_id and a.occurred_at between i.first_seen and i.last_seen;
    delete from mobeye.incident_history h where h.incident_id = any (ids);
    delete from mobeye.incident_condition c where c.incident_id = any (ids);
    delete from mobeye.snapshot s where s.incident_id = any (ids);
    update mobeye.change c set areas_before = null, assigned_before = null
     where c.incident_id = any (ids) and num_nonnulls(c.areas_before, c.assigned_before) > 0;
    delete from mobeye.incident i where i.incident_id = any (ids);
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_incidents(bigint[], boolean) is
    'Erases incidents with their history and images after adding them to the statistics; returns how many there were. Their alerts stay, '
    'as of no incident. Their changes, which then say nothing about a person, are deleted with age (mobeye.purge()).';

create or replace function mobeye.held_alerts(partition regclass) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found_one boolean;
begin
    execute format('select exists (select from %s a join mobeye.incident i using (incident_id) where i.legal_hold)', partition)
       into found_one;
    return found_one;
end
$$;
comment on function mobeye.held_alerts(regclass) is 'Whether a partition holds alerts or images of an incident under a legal hold.';

create or replace function mobeye.is_held(incident_id bigint) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select exists (select from mobeye.incident i where i.incident_id = is_held.incident_id and i.legal_hold) $$;
comment on function mobeye.is_held(bigint) is 'Whether an incident is under a legal hold.';

create or replace function mobeye.retention_jobs() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select array['camera', 'images', 'alarm', 'service', 'incident', 'burglary', 'quarantine', 'devices', 'fixes', 'mutes', 'placements', 'identities'] $$;
comment on function mobeye.retention_jobs() is
    'What is erased by age, each in a transaction of its own: a job that fails does not stop the others.';

-- A day of camera alerts, or of images, is erased as a whole when its start is past the retention. The other classes are erased by alert,
-- and a month that is past the retention as a whole is dropped.
create or replace function mobeye.alerts_due(class text, keep interval)
returns table (partition regclass, whole boolean, until timestamptz, since timestamptz, n bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    by_day boolean := alerts_due.class in ('camera', 'images');
    part record;
begin
    for part in
        select * from mobeye.partitions_of(alerts_due.class) p where p.lower_end <= now() - keep order by p.lower_end
    loop
        partition := part.partition;
        whole := by_day or part.upper_end <= now() - keep;
        until := case when whole then part.upper_end else now() - keep end;
        execute format('select count(*), min(greatest(coalesce($1, a.occurred_at) + $2, a.stored_at)) from %s a'
                       ' where a.occurred_at < $3 and not exists (select from mobeye.incident i'
                       ' where i.incident_id = a.incident_id and i.legal_hold)', partition)
           into n, since using case when by_day then part.lower_end end, keep, until;
        if n > 0 or (whole and not mobeye.held_alerts(partition)) then
            return next;
        end if;
    end loop;
end
$$;
comment on function mobeye.alerts_due(text, interval) is
    'The partitions of a class with alerts, or of images, past their retention (until), since when, and how many of them are not under a '
    'legal hold.';

-- The list that apply_retention() works through is also what mobeyectl retention --dry-run shows.
create or replace function mobeye.retention_due(job text, camera interval, alarm interval, service interval, incident interval,
                                                burglary interval default '1825 days')
returns table (what text, class text, until timestamptz, since timestamptz, partition regclass, whole boolean, n bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    keep interval := case job when 'camera' then camera when 'images' then camera when 'alarm' then alarm when 'service' then service
                              when 'incident' then incident when 'burglary' then burglary when 'quarantine' then least(camera, alarm, service)
                              when 'devices' then service
                              when 'mutes' then incident
                              -- A copy of an alert of any class.
                              when 'fixes' then least(camera, alarm, service)
                              when 'placements' then greatest(camera, alarm, service, incident)
                              -- An alert may be a month late, and a journal may be applied again.
                              when 'identities' then greatest(camera, alarm, service) + interval '62 days' end;
begin
    what := job;
    until := now() - keep;
    case job
    when 'camera', 'images', 'alarm', 'service' then
        return query select case job when 'images' then job else 'alerts' end, job, d.until, d.since, d.partition, d.whole, d.n from mobeye.alerts_due(job, keep) d;
        return;
    when 'incident' then
        what := 'incidents';
        class := 'incident';
        select count(*), min(greatest(i.closed_at, i.last_seen)) + keep into n, since from mobeye.incident i
         where i.status = 'closed' and i.closed_at < until and i.last_seen < until and not i.legal_hold;
    when 'burglary' then
        what := 'burglaries';
        class := 'burglary';
        select count(*), min(b.occurred_from) + keep into n, since from mobeye.burglary b
         where b.occurred_from < until and b.held_for is null;
    when 'quarantine' then
        select count(*), min(q.quarantined_at) + keep into n, since from mobeye.quarantine q where q.quarantined_at < until;
    when 'devices' then
        -- Due since the device was unregistered; that time is not known.
        select count(*) into n from mobeye.device_status s
         where s.last_received_at < until
           and not exists (select from mobeye.device d where d.device_id = s.device_id);
    when 'fixes' then
        select count(*), min(s.fix_at) + keep into n, since from mobeye.device_status s where s.fix_at < until;
    when 'mutes' then
        select count(*), min(least(m.until, m.ended_at)) + keep into n, since from mobeye.mute m
         where least(m.until, m.ended_at) < retention_due.until and not mobeye.is_held(m.incident_id);
    when 'placements' then
        select count(*), min(upper(p.during) + case when p.erased is null then keep else least(keep, interval '31 days') end)
          into n, since from mobeye.placement p
         where (upper(p.during) < until or p.erased is not null and not mobeye.alerts_may_follow(upper(p.during)))
           and not exists (select from mobeye.incident i where i.placement_id = p.placement_id);
    when 'identities' then
        select sum(p.identities), min(p.closed_at) + keep into n, since from mobeye.identity_period p
         where p.closed_at < until and p.filter is not null;
    else
        raise exception 'retention job "%" does not exist', job
            using errcode = 'invalid_parameter_value', hint = 'mobeye.retention_jobs() lists the jobs.';
    end case;
    if n > 0 then
        return next;
    end if;
end
$$;
comment on function mobeye.retention_due(text, interval, interval, interval, interval, interval) is
    'What is past its retention in a job, with the number of rows. Nothing under a legal hold is.';

create or replace function mobeye.retention_overdue(camera interval, alarm interval, service interval, incident interval,
                                                    burglary interval default '1825 days')
returns table (job text, since timestamptz, n bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select j.job, min(d.since), sum(d.n)::bigint
      from unnest(mobeye.retention_jobs()) as j(job)
     cross join lateral mobeye.retention_due(j.job, camera, alarm, service, incident, burglary) as d
     where d.n > 0 and d.since < now() - interval '1 day'
     group by j.job order by j.job
$$;
comment on function mobeye.retention_overdue(interval, interval, interval, interval, interval) is
    'What should have been erased more than a day ago and is still stored: the jobs, since when, and how many rows.';

create or replace function mobeye.erase_alerts(partition regclass, whole boolean, until timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if whole and not mobeye.held_alerts(partition) then
        perform mobeye.end_readers(partition, interval '1 minute');
        execute format('drop table %s', partition);
    else
        execute format('delete from %s a where a.occurred_at < $1 and not exists (select from mobeye.incident i '
                       'where i.incident_id = a.incident_id and i.legal_hold)', partition) using until;
    end if;
end
$$;
comment on function mobeye.erase_alerts(regclass, boolean, timestamptz) is
    'Drops a partition that is past its retention as a whole, or deletes what is older; alerts, or images, under a legal hold stay.';

-- Daemons keep fixes in memory too: with the next version of the registry they forget those of the period, and from then on
-- store_device_status() rejects such a fix.
create or replace function mobeye.forget_fixes(devices text[], during tstzrange) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    perform from mobeye.device_status s where s.device_id = any (devices) order by s.device_id for update;
    update mobeye.device_status s set fix = null, fix_accuracy_m = null, fix_at = null
     where s.device_id = any (devices) and during @> s.fix_at;
    get diagnostics n = row_count;
    if cardinality(devices) > 0 then
        insert into mobeye.registry_log (device_id, forget) select d, forget_fixes.during from unnest(devices) as d;
        insert into mobeye.pending_version values ('registry') on conflict do nothing;
    end if;
    return n;
end
$$;
comment on function mobeye.forget_fixes(text[], tstzrange) is
    'Erases the last fixes of devices that were taken in a period, here and in the memory of the daemons; returns how many '
    'rows had one.';

create or replace function mobeye.erase_placements(ids bigint[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    perform mobeye.keep_placement_figures(ids);
    delete from mobeye.placement p where p.placement_id = any (ids);
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_placements(bigint[]) is
    'Erases placements after adding them to the statistics of every layer; returns how many there were.';

create or replace function mobeye.erase_identities(until timestamptz) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    closed mobeye.identity_period;
    n bigint := 0;
begin
    for closed in
        select p.* from mobeye.identity_period p
         where p.closed_at < until and p.filter is not null order by p.period for update
    loop
        execute format('drop table mobeye.%I', 'alert_identity_' || closed.period);
        delete from mobeye.identity_period p where p.period = closed.period;
        n := n + closed.identities;
    end loop;
    return n;
end
$$;
comment on function mobeye.erase_identities(timestamptz) is
    'Drops the periods of identities that were closed before a time; returns how many identities there were.';

create or replace function mobeye.erase_due(job text, until timestamptz) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    case job
    when 'incident' then
        return mobeye.erase_incidents(array(
            select i.incident_id from mobeye.incident i
             where i.status = 'closed' and i.closed_at < until and i.last_seen < until and not i.legal_hold
             order by i.incident_id limit 5000 for update skip locked));
    when 'burglary' then
        return mobeye.erase_burglaries(array(
            select b.burglary_id from mobeye.burglary b
             where b.occurred_from < until and b.held_for is null
             order by b.burglary_id limit 5000 for update skip locked));
    when 'quarantine' then
        delete from mobeye.quarantine q where q.quarantined_at < until;
    when 'devices' then
        delete from mobeye.device_status s
         where s.last_received_at < until
           and not exists (select from mobeye.device d where d.device_id = s.device_id);
    when 'fixes' then
        return mobeye.forget_fixes(array(select s.device_id from mobeye.device_status s where s.fix_at < until),
                                   tstzrange(null, until));
    when 'mutes' then
        delete from mobeye.mute m where least(m.until, m.ended_at) < erase_due.until and not mobeye.is_held(m.incident_id);
    when 'placements' then
        return mobeye.erase_placements(array(
            select p.placement_id from mobeye.placement p
             where (upper(p.during) < until or p.erased is not null and not mobeye.alerts_may_follow(upper(p.during)))
               and not exists (select from mobeye.incident i where i.placement_id = p.placement_id)
             order by p.placement_id limit 5000 for update skip locked));
    when 'identities' then
        return mobeye.erase_identities(until);
    end case;
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_due(text, timestamptz) is
    'Erases what is older, for a retention job that is not about alerts; returns how many rows.';

-- The login of the daemon could call these functions with any interval. These are also the minimums in the configuration: a day
-- of camera alerts is dropped when its start is past the retention, so two days keep each alert for at least one.
create or replace function mobeye.check_keep(keep interval[], minimum interval) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if (minimum <= all (keep)) is not true then
        raise exception 'retention %: must be % or more', keep, minimum
            using errcode = 'invalid_parameter_value', hint = 'Nothing younger than a day is erased.';
    end if;
end
$$;
comment on function mobeye.check_keep(interval[], interval) is 'Refuses a retention shorter than the minimum.';

-- What is erased is what the server's clock says is old: one that is ahead must not erase what was accepted today.
create or replace function mobeye.check_clocks(wall timestamptz) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if wall not between now() - interval '1 hour' and now() + interval '1 hour' then
        raise exception 'the clocks of the database and of this machine are % apart: nothing is erased',
                        date_trunc('minute', greatest(wall, now()) - least(wall, now()))
            using errcode = 'MB002', hint = 'Correct the clock that is wrong.';
    end if;
end
$$;
comment on function mobeye.check_clocks(timestamptz) is
    'Refuses (SQLSTATE MB002) to erase if the clock of the program that asks, null: unknown, is more than an hour from the server''s.';

-- While a partition is being dropped no alert of its class can be stored. So partitions are dropped last, the wait for the lock
-- is brief, and sessions that create partitions, which may take long, are waited for before that lock is requested.
create or replace function mobeye.apply_retention(job text, camera interval, alarm interval, service interval, incident interval,
                                                  burglary interval default '1825 days', wall timestamptz default null)
returns table (what text, class text, partition text, n bigint, error text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '500ms'
as $$
declare
    due record;
begin
    perform mobeye.check_clocks(wall);
    perform mobeye.check_keep(array[camera], '2 days');
    perform mobeye.check_keep(array[alarm, service, incident, burglary], '1 day');
    for due in
        select d.* from mobeye.retention_due(job, camera, alarm, service, incident, burglary) d
         order by case when d.whole then not mobeye.held_alerts(d.partition) else false end, d.until
    loop
        what := due.what;
        class := due.class;
        partition := due.partition::text;
        n := due.n;
        error := null;
        begin
            if due.what in ('alerts', 'images') then
                if due.whole then
                    perform set_config('lock_timeout', '30s', true);
                    perform mobeye.lock_partitions();
                    perform set_config('lock_timeout', '500ms', true);
                end if;
                perform mobeye.erase_alerts(due.partition, due.whole, due.until);
            else
                n := mobeye.erase_due(job, due.until);
            end if;
            -- Dropping an empty partition erases nothing.
            if n > 0 then
                insert into mobeye.erasure (actor, what, class, until, n)
                values ('mobeyed', due.what, due.class, due.until, apply_retention.n);
            end if;
        exception
            when lock_not_available or deadlock_detected then
                n := 0;
                error := split_part(sqlerrm, E'\n', 1); -- the daemon logs a line
                return next;
                return; -- the next partition would wait for the same lock
            when others then -- for example, a view depends on it: continue with the rest, and report it
                n := 0;
                error := split_part(sqlerrm, E'\n', 1);
        end;
        return next;
    end loop;
end
$$;
comment on function mobeye.apply_retention(text, interval, interval, interval, interval, interval, timestamptz) is
    'Erases what is past its retention (mobeye.retention_due() lists it), each partition separately; returns what it erased, '
    'how many rows, and what it could not erase and why. wall: mobeye.check_clocks().';

create or replace function mobeye.hold(incident_id bigint, held boolean, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.require_text('the reason', reason);
    update mobeye.incident i set legal_hold = held where i.incident_id = hold.incident_id;
    if not found then
        raise exception 'incident % does not exist', incident_id using errcode = 'no_data_found';
    end if;
    perform mobeye.add_history(hold.incident_id, case when held then 'hold' else 'release_hold' end, reason,
                               actor => session_user::text);
end
$$;
comment on function mobeye.hold(bigint, boolean, text) is
    'Puts an incident under a legal hold, or ends it: an incident under a legal hold is not erased, nor are its alerts and images.';
