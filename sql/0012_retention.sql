-- How long things are kept: erasure by class and time, figures that survive it, holds, and a person's request.
-- By hand, backwards: drop the tables and functions below. What was erased stays erased.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- What was erased, without what it said: enough to erase it again after a backup from before was restored.
create table if not exists mobeye.erasure (
    erasure_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null default session_user,
    what text not null, -- alerts incidents quarantine identities devices subject
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
select month, nullif(wijk_code, '') as wijk_code, category, kind, nullif(outcome, '') as outcome,
       sum(incidents)::bigint as incidents, sum(alerts)::bigint as alerts
  from (select month, wijk_code, category, kind, outcome, incidents, alerts from mobeye.figure
        union all
        select month, wijk_code, category, kind, outcome, count(*), sum(alert_count) from mobeye.live_figure
         group by month, wijk_code, category, kind, outcome) as both_of_them
 group by month, wijk_code, category, kind, outcome;
comment on view patrol.figures is
    'Incidents by month, district, kind and outcome, without drills; those of erased incidents included.';
comment on column patrol.figures.month is 'First day of the month in which the incident began, local time.';
comment on column patrol.figures.wijk_code is 'District; null where none was known.';
comment on column patrol.figures.category is 'alarm or service.';
comment on column patrol.figures.kind is 'Kind of the alert that began it.';
comment on column patrol.figures.outcome is 'How it ended; null: it has not. unattended is apart from false_alarm.';
comment on column patrol.figures.incidents is 'How many incidents.';
comment on column patrol.figures.alerts is 'How many raises counted to them.';
grant select on patrol.figures to mobeye_patrol, mobeye_auditor;

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

create or replace function mobeye.retention_jobs() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select array['camera', 'alarm', 'service', 'incident', 'quarantine', 'devices', 'identities'] $$;
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
    when 'identities' then
        delete from mobeye.alert_identity a where a.stored_on < until::date;
    end case;
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_due(text, timestamptz) is
    'Erases what is older, of a job of retention that is not about alerts; returns how many rows.';

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
                    perform pg_advisory_xact_lock(1297039941, 2);
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

-- A person's request: by the address where a device stood, or by the device, and a time.
create or replace function mobeye.subject(address text, device text, from_at timestamptz, until_at timestamptz)
returns table (device_id text, during tstzrange, placement_id bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select p.device_id, p.during * tstzrange(from_at, until_at), p.placement_id
      from mobeye.placement p
     where (subject.address is null or lower(trim(p.address)) = lower(trim(subject.address)))
       and (device is null or p.device_id = device)
       and (subject.address is not null or device is not null)
       and p.during && tstzrange(from_at, until_at)
    union all
    select device, tstzrange(from_at, until_at), null
     where device is not null and subject.address is null and from_at is not null and until_at is not null
       and not exists (select from mobeye.placement p
                        where p.device_id = device and p.during && tstzrange(from_at, until_at))
$$;
comment on function mobeye.subject(text, text, timestamptz, timestamptz) is
    'Which devices, when, a person''s request is about: by the address where they stood, or by the device.';

create or replace function mobeye.subject_incidents(device_id text, during tstzrange) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(i.incident_id), '{}') from mobeye.incident i
     where i.device_id = subject_incidents.device_id and during @> i.first_seen
$$;
comment on function mobeye.subject_incidents(text, tstzrange) is 'The incidents that a device began in a time.';

create or replace function mobeye.subject_export(address text, device text, from_at timestamptz, until_at timestamptz)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'device', s.device_id, 'from', lower(s.during), 'until', upper(s.during),
        'placement', (select to_jsonb(p) from mobeye.placement p where p.placement_id = s.placement_id),
        'alerts', (select coalesce(jsonb_agg(to_jsonb(a) order by a.occurred_at), '[]') from mobeye.alert a
                    where a.device_id = s.device_id and s.during @> a.occurred_at),
        'incidents', (select coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object('history',
                        (select coalesce(jsonb_agg(to_jsonb(h) order by h.entry), '[]') from mobeye.incident_history h
                          where h.incident_id = i.incident_id)) order by i.incident_id), '[]')
                        from mobeye.incident i
                       where i.incident_id = any (mobeye.subject_incidents(s.device_id, s.during))))), '[]')
      from mobeye.subject(address, device, from_at, until_at) s
$$;
comment on function mobeye.subject_export(text, text, timestamptz, timestamptz) is
    'Everything that is kept about an address, or a device in a time, as JSON.';

create or replace function mobeye.erase_device(device_id text, during tstzrange) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    ids bigint[] := mobeye.subject_incidents(device_id, erase_device.during);
    held text;
    n bigint;
    total bigint := 0;
begin
    select string_agg(i.incident_id::text, ', ') into held from mobeye.incident i
     where i.incident_id = any (ids) and i.legal_hold;
    if held is not null then
        raise exception 'incident % is under a legal hold', held using errcode = 'object_in_use',
            hint = 'mobeye.hold(id, false, reason) ends a hold.';
    end if;
    delete from mobeye.alert a where a.device_id = erase_device.device_id and erase_device.during @> a.occurred_at;
    get diagnostics n = row_count;
    total := total + n;
    total := total + mobeye.erase_incidents(ids);
    delete from mobeye.quarantine q where q.device_id = erase_device.device_id and erase_device.during @> q.received_at;
    get diagnostics n = row_count;
    total := total + n;
    delete from mobeye.placement p
     where p.device_id = erase_device.device_id and p.during <@ erase_device.during and upper(p.during) <= now();
    get diagnostics n = row_count;
    total := total + n;
    update mobeye.device_status s set fix = null, fix_at = null, fix_accuracy_m = null
     where s.device_id = erase_device.device_id and erase_device.during @> s.fix_at;
    -- The identities stay: what a journal still holds of it is not stored again.
    insert into mobeye.erasure (what, device_id, during, n) values ('subject', erase_device.device_id, erase_device.during, total);
    return total;
end
$$;
comment on function mobeye.erase_device(text, tstzrange) is
    'Erases what a device reported in a time, its incidents and its placements that are over; logs that, returns the rows.';

create or replace function mobeye.subject_erase(address text, device text, from_at timestamptz, until_at timestamptz)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(mobeye.erase_device(s.device_id, s.during)), 0)::bigint
      from mobeye.subject(address, device, from_at, until_at) s
$$;
comment on function mobeye.subject_erase(text, text, timestamptz, timestamptz) is
    'Erases everything that is kept about an address, or a device in a time; returns how many rows.';

-- After a restore: what had been erased since the backup, as mobeyectl wrote it down, is erased again.
create or replace function mobeye.erase_again(log jsonb) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(mobeye.erase_device(e ->> 'device_id', (e ->> 'during')::tstzrange)), 0)::bigint
      from jsonb_array_elements(log) as e
$$;
comment on function mobeye.erase_again(jsonb) is
    'Erases again what a log of erasures (device_id and during) lists, after a backup from before them was restored.';

grant execute on function mobeye.apply_retention(text, interval, interval, interval, interval),
    mobeye.retention_due(text, interval, interval, interval, interval), mobeye.retention_jobs(),
    mobeye.retention_overdue(interval, interval, interval, interval) to mobeye_ingest;
