-- How long things are kept: erasure by class and time, figures that survive it, and holds.
-- By hand, backwards: drop the tables and functions below. What was erased stays erased.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- What was erased, without what it said: enough to erase it again after a backup from before was restored.
create table if not exists mobeye.erasure (
    erasure_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null default session_user,
    what text not null, -- alerts incidents quarantine devices fixes mutes placements identities subject
    class text,
    until timestamptz,  -- everything of the class before this time
    device_id text,     -- of a person's request, with the time
    during tstzrange,
    n bigint not null
);
comment on table mobeye.erasure is 'What was erased, when and by whom; never what it said.';

-- Incidents by month, counted before they are erased.
create table if not exists mobeye.figure (
    month date not null,
    wijk_code text not null default '',
    category text not null,
    kind text not null,
    outcome text not null default '',
    incidents bigint not null,
    alerts bigint not null,
    primary key (month, wijk_code, category, kind, outcome)
);
comment on table mobeye.figure is 'Figures of incidents that are erased, by month, district, kind and outcome.';

create or replace function mobeye.area_code(areas text[], layer text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select substr(a, length(layer) + 2) from unnest(areas) as a where starts_with(a, layer || ':') limit 1 $$;
comment on function mobeye.area_code(text[], text) is 'The code of a layer among areas written as layer:code; null: none.';

create or replace view mobeye.live_figure as
select date_trunc('month', first_seen at time zone 'Europe/Amsterdam')::date as month,
       coalesce(mobeye.area_code(areas, 'wijk'), '') as wijk_code, category, kind, coalesce(outcome, '') as outcome,
       incident_id, alert_count
  from mobeye.incident
 where not drill;
comment on view mobeye.live_figure is 'What each incident that is kept counts for in the figures. Drills do not.';

create or replace view patrol.figures with (security_barrier) as
with closed as (
select month, wijk_code, category, kind, outcome, sum(incidents) as incidents, sum(alerts) as alerts
  from (select month, wijk_code, category, kind, outcome, incidents, alerts from mobeye.figure
        union all
        select month, wijk_code, category, kind, outcome, count(*), sum(alert_count) from mobeye.live_figure
         group by month, wijk_code, category, kind, outcome) as both_of_them
 where month < date_trunc('month', now() at time zone 'Europe/Amsterdam')::date
 group by month, wijk_code, category, kind, outcome
), without_district as (
select month, case when incidents >= 5 then wijk_code else '' end as wijk_code, category, kind, outcome,
       sum(incidents) as incidents, sum(alerts) as alerts
  from closed group by 1, 2, 3, 4, 5
), without_kind as (
select month, wijk_code, category, case when incidents >= 5 then kind else 'other' end as kind,
       case when incidents >= 5 then outcome else '' end as outcome, sum(incidents) as incidents, sum(alerts) as alerts
  from without_district group by 1, 2, 3, 4, 5
)
select month, nullif(wijk_code, '') as wijk_code, category, kind, nullif(outcome, '') as outcome,
       incidents::bigint as incidents, alerts::bigint as alerts
  from without_kind where incidents >= 5;
comment on view patrol.figures is
    'Incidents of months that are over by month, district, kind and outcome, without drills; those of erased incidents '
    'included. Fewer than 5 are merged: without their district, then as kind other without outcome, else left out.';
comment on column patrol.figures.month is 'First day of the month in which the incident began, local time.';
comment on column patrol.figures.wijk_code is 'District; null where none was known, or there were fewer than 5.';
comment on column patrol.figures.category is 'alarm or service.';
comment on column patrol.figures.kind is 'Kind of the alert that began it; other: of kinds with fewer than 5.';
comment on column patrol.figures.outcome is 'How it ended; null: it has not, or kind is other. unattended is apart from false_alarm.';
comment on column patrol.figures.incidents is 'How many incidents.';
comment on column patrol.figures.alerts is 'How many raises counted to them.';
grant select on patrol.figures to mobeye_patrol, mobeye_auditor;
grant execute on function mobeye.area_code(text[], text) to mobeye_patrol, mobeye_auditor;

create or replace function mobeye.erase_incidents(ids bigint[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    -- From here on no daemon leads another thread to them.
    perform from mobeye.incident i where i.incident_id = any (ids) order by i.incident_id for update;
    insert into mobeye.figure as f (month, wijk_code, category, kind, outcome, incidents, alerts)
    select l.month, l.wijk_code, l.category, l.kind, l.outcome, count(*), sum(l.alert_count)
      from mobeye.live_figure l where l.incident_id = any (ids)
     group by l.month, l.wijk_code, l.category, l.kind, l.outcome
    on conflict on constraint figure_pkey do update
       set incidents = f.incidents + excluded.incidents, alerts = f.alerts + excluded.alerts;
    delete from mobeye.incident_history h where h.incident_id = any (ids);
    delete from mobeye.incident_thread t where t.incident_id = any (ids);
    delete from mobeye.incident i where i.incident_id = any (ids);
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_incidents(bigint[]) is
    'Erases incidents with their history, and counts them in the figures first; returns how many there were. Their changes, '
    'which tell nothing of a person, go with age (mobeye.tidy()).';

-- By their bounds, in a step of its own (materialized): were they cast in a condition that the planner may move, another
-- table's bound or name could be read first and fail.
create or replace function mobeye.partitions_of(class text)
returns table (partition regclass, lower_end timestamptz, upper_end timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
    with child as materialized (
        select c.oid, pg_get_expr(c.relpartbound, c.oid) as bound
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = to_regclass('mobeye.alert_' || class))
    select oid::regclass, substring(bound from 'FROM \(''([^'']*)''\)')::timestamptz,
           substring(bound from 'TO \(''([^'']*)''\)')::timestamptz
      from child
$$;
comment on function mobeye.partitions_of(text) is
    'The partitions of a class of alerts and the times that each holds, as PostgreSQL knows them; the end is excluded.';

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
comment on function mobeye.held_alerts(regclass) is 'Whether a partition has alerts of an incident under a legal hold.';

create or replace function mobeye.is_held(incident_id bigint) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select exists (select from mobeye.incident i where i.incident_id = is_held.incident_id and i.legal_hold) $$;
comment on function mobeye.is_held(bigint) is 'Whether an incident is under a legal hold; null: none.';

create or replace function mobeye.retention_jobs() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select array['camera', 'alarm', 'service', 'incident', 'quarantine', 'devices', 'fixes', 'mutes', 'placements', 'identities'] $$;
comment on function mobeye.retention_jobs() is
    'What is erased by its age, each in a transaction of its own: one that fails stops no other.';

-- A day of camera goes as a whole when its start is past its time. The others go by the alert; a month that is past its
-- time as a whole is dropped.
create or replace function mobeye.alerts_due(class text, keep interval)
returns table (partition regclass, whole boolean, until timestamptz, since timestamptz, n bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    by_day boolean := alerts_due.class = 'camera';
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
    'Partitions of a class with alerts past their time (until), since when, and how many that are not under a legal hold.';

-- The plan and its doing are one list: what is due, since when, and how many rows it is about.
create or replace function mobeye.retention_due(job text, camera interval, alarm interval, service interval, incident interval)
returns table (what text, class text, until timestamptz, since timestamptz, partition regclass, whole boolean, n bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    keep interval := case job when 'camera' then camera when 'alarm' then alarm when 'service' then service
                              when 'incident' then incident when 'quarantine' then least(camera, alarm, service)
                              when 'devices' then service
                              when 'mutes' then incident
                              -- A copy of what an alert said, of any class.
                              when 'fixes' then least(camera, alarm, service)
                              when 'placements' then greatest(camera, alarm, service, incident)
                              -- An alert may be a month late, and a journal may be applied again.
                              when 'identities' then greatest(camera, alarm, service) + interval '62 days' end;
begin
    what := job;
    until := now() - keep;
    case job
    when 'camera', 'alarm', 'service' then
        return query select 'alerts', job, d.until, d.since, d.partition, d.whole, d.n from mobeye.alerts_due(job, keep) d;
        return;
    when 'incident' then
        what := 'incidents';
        class := 'incident';
        select count(*), min(greatest(i.closed_at, i.last_seen)) + keep into n, since from mobeye.incident i
         where i.status = 'closed' and i.closed_at < until and i.last_seen < until and not i.legal_hold;
    when 'quarantine' then
        select count(*), min(q.quarantined_at) + keep into n, since from mobeye.quarantine q where q.quarantined_at < until;
    when 'devices' then
        -- It is due from when it is registered no more, which is not known.
        select count(*) into n from mobeye.device_status s
         where s.last_received_at < until
           and not exists (select from mobeye.device d where d.device_id = s.device_id);
    when 'fixes' then
        select count(*), min(s.fix_at) + keep into n, since from mobeye.device_status s where s.fix_at < until;
    when 'mutes' then
        select count(*), min(least(m.until, m.ended_at)) + keep into n, since from mobeye.mute m
         where least(m.until, m.ended_at) < retention_due.until and not mobeye.is_held(m.incident_id);
    when 'placements' then
        select count(*), min(upper(p.during)) + keep into n, since from mobeye.placement p
         where upper(p.during) < until
           and not exists (select from mobeye.incident i where i.placement_id = p.placement_id);
    when 'identities' then
        select count(*), min(a.stored_on) + interval '1 day' + keep into n, since from mobeye.alert_identity a
         where a.stored_on < until::date;
    else
        raise exception 'retention job "%" does not exist', job
            using errcode = 'invalid_parameter_value', hint = 'mobeye.retention_jobs() lists them.';
    end case;
    if n > 0 then
        return next;
    end if;
end
$$;
comment on function mobeye.retention_due(text, interval, interval, interval, interval) is
    'What of a job is past its time of keeping, with the number of rows; what is under a legal hold is not.';

create or replace function mobeye.retention_overdue(camera interval, alarm interval, service interval, incident interval)
returns table (job text, since timestamptz, n bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select j.job, min(d.since), sum(d.n)::bigint
      from unnest(mobeye.retention_jobs()) as j(job)
     cross join lateral mobeye.retention_due(j.job, camera, alarm, service, incident) as d
     where d.n > 0 and d.since < now() - interval '1 day'
     group by j.job order by j.job
$$;
comment on function mobeye.retention_overdue(interval, interval, interval, interval) is
    'What should have been erased more than a day ago and is still there: the jobs, since when, and how many rows.';

create index if not exists alert_identity_stored_on on mobeye.alert_identity using brin (stored_on);

create or replace function mobeye.erase_alerts(partition regclass, whole boolean, until timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if whole and not mobeye.held_alerts(partition) then
        execute format('drop table %s', partition);
    else
        execute format('delete from %s a where a.occurred_at < $1 and not exists (select from mobeye.incident i '
                       'where i.incident_id = a.incident_id and i.legal_hold)', partition) using until;
    end if;
end
$$;
comment on function mobeye.erase_alerts(regclass, boolean, timestamptz) is
    'Drops a partition that is past its time as a whole, or deletes from it what is older; what is under a legal hold stays.';

-- Daemons hold fixes in memory too: with the next version of the registry they forget those of that time, and
-- note_devices() accepts none of them any more.
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
        insert into mobeye.version_due values ('registry') on conflict do nothing;
    end if;
    return n;
end
$$;
comment on function mobeye.forget_fixes(text[], tstzrange) is
    'Erases the last known places of devices that were taken in a time, here and in the memory of the daemons; returns how '
    'many rows held one.';

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
        delete from mobeye.placement p
         where upper(p.during) < until
           and not exists (select from mobeye.incident i where i.placement_id = p.placement_id);
    when 'identities' then
        delete from mobeye.alert_identity a where a.stored_on < until::date;
    end case;
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_due(text, timestamptz) is
    'Erases what is older, of a job of retention that is not about alerts; returns how many rows.';

-- The daemon's login could be used with any times: nothing younger than a day is erased, which is also the least that the
-- configuration takes.
create or replace function mobeye.check_keep(keep interval[]) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if (interval '1 day' <= all (keep)) is not true then
        raise exception 'retention %: nothing younger than a day is erased', keep
            using errcode = 'invalid_parameter_value', hint = 'Each time of keeping is 1 day at least.';
    end if;
end
$$;
comment on function mobeye.check_keep(interval[]) is 'Refuses times of keeping that are shorter than a day.';

-- A partition is dropped under a lock beside which no alert of its class can be stored: not where it takes long to be had,
-- at the end, and not beside the making of partitions, which may take long and is waited for without holding anybody up.
create or replace function mobeye.apply_retention(job text, camera interval, alarm interval, service interval, incident interval)
returns table (what text, class text, partition text, n bigint, error text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '500ms'
as $$
declare
    due record;
begin
    perform mobeye.check_keep(array[camera, alarm, service, incident]);
    for due in
        select d.* from mobeye.retention_due(job, camera, alarm, service, incident) d
         order by case when d.whole then not mobeye.held_alerts(d.partition) else false end, d.until
    loop
        what := due.what;
        class := due.class;
        partition := due.partition::text;
        n := due.n;
        error := null;
        begin
            if due.what = 'alerts' then
                if due.whole then
                    perform set_config('lock_timeout', '30s', true);
                    perform mobeye.lock_partitions();
                    perform set_config('lock_timeout', '500ms', true);
                end if;
                perform mobeye.erase_alerts(due.partition, due.whole, due.until);
            else
                n := mobeye.erase_due(job, due.until);
            end if;
            -- A partition that was empty is no erasure.
            if n > 0 then
                insert into mobeye.erasure (actor, what, class, until, n)
                values ('mobeyed', due.what, due.class, due.until, apply_retention.n);
            end if;
        exception
            when lock_not_available or deadlock_detected then
                n := 0;
                error := sqlerrm;
                return next;
                return; -- the next would wait for the same
            when others then -- as a view that hangs on it: the rest goes on, and the caller is told
                n := 0;
                error := sqlerrm;
        end;
        return next;
    end loop;
end
$$;
comment on function mobeye.apply_retention(text, interval, interval, interval, interval) is
    'Erases what is past its time of keeping (mobeye.retention_due() lists it), each partition by itself; returns what it '
    'erased, how many rows, and where it could not, why.';

create or replace function mobeye.hold(incident_id bigint, held boolean, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(trim(reason), '') = '' then
        raise exception 'a hold needs a reason' using errcode = 'invalid_parameter_value',
            hint = 'Who asked for it, and the number of the case.';
    end if;
    update mobeye.incident i set legal_hold = held where i.incident_id = hold.incident_id;
    if not found then
        raise exception 'there is no incident %', incident_id using errcode = 'no_data_found';
    end if;
    insert into mobeye.incident_history (incident_id, actor, action, note)
    values (hold.incident_id, session_user, case when held then 'hold' else 'release_hold' end, reason);
end
$$;
comment on function mobeye.hold(bigint, boolean, text) is
    'Puts an incident under a legal hold, or ends that: what is held, and its alerts, is not erased.';

grant execute on function mobeye.apply_retention(text, interval, interval, interval, interval),
    mobeye.retention_due(text, interval, interval, interval, interval), mobeye.retention_jobs(),
    mobeye.retention_overdue(interval, interval, interval, interval) to mobeye_ingest;
