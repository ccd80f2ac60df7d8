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

-- Partitions that hold nothing but what is older. Their names say what they hold (mobeye.make_partitions()).
create or replace function mobeye.partitions_before(class text, until timestamptz)
returns table (partition regclass, upper_end timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
    select p.oid::regclass, u.upper_end
      from pg_inherits i
      join pg_class p on p.oid = i.inhrelid
     cross join lateral (select to_date(substring(p.relname from '[0-9]+$'),
                                        case class when 'camera' then 'YYYYMMDD' else 'YYYYMM' end)::timestamptz
                                + case class when 'camera' then interval '1 day' else interval '1 month' end
                                as upper_end) u
     where i.inhparent = to_regclass('mobeye.alert_' || class) and u.upper_end <= until
     order by u.upper_end
$$;
comment on function mobeye.partitions_before(text, timestamptz) is
    'The partitions of a class of alerts that end before a time.';

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

-- The plan and its doing are one list: what is due, and how many rows it is about.
create or replace function mobeye.retention_due(camera interval, alarm interval, service interval, incident interval)
returns table (what text, class text, until timestamptz, partition regclass, n bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    kept record;
    part record;
begin
    for kept in select * from (values ('camera', camera), ('alarm', alarm), ('service', service)) as k(class, keep) loop
        for part in select * from mobeye.partitions_before(kept.class, now() - kept.keep) loop
            what := 'alerts';
            class := kept.class;
            until := part.upper_end;
            partition := part.partition;
            execute format('select count(*) from %s a where not exists (select from mobeye.incident i '
                           'where i.incident_id = a.incident_id and i.legal_hold)', part.partition) into n;
            -- One that is empty is made anew for alerts that come late, up to 31 days.
            if n > 0 or (part.upper_end < now() - interval '32 days' and not mobeye.held_alerts(part.partition)) then
                return next;
            end if;
        end loop;
    end loop;
    partition := null;
    what := 'incidents';
    class := 'incident';
    until := now() - incident;
    select count(*) into n from mobeye.incident i
     where i.status = 'closed' and i.closed_at < until and i.last_seen < until and not i.legal_hold;
    if n > 0 then
        return next;
    end if;
    what := 'quarantine';
    class := null;
    until := now() - least(camera, alarm, service);
    select count(*) into n from mobeye.quarantine q where q.quarantined_at < until;
    if n > 0 then
        return next;
    end if;
    what := 'devices';
    until := now() - service;
    select count(*) into n from mobeye.device_status s
     where s.last_received_at < until
       and not exists (select from mobeye.device d where d.device_id = s.device_id);
    if n > 0 then
        return next;
    end if;
    -- An alert may be a month late, and a journal may be applied again.
    what := 'identities';
    until := now() - greatest(camera, alarm, service) - interval '62 days';
    select count(*) into n from mobeye.alert_identity a where a.stored_on < until::date;
    if n > 0 then
        return next;
    end if;
end
$$;
comment on function mobeye.retention_due(interval, interval, interval, interval) is
    'What is past its time of keeping, by class, with the number of rows; what is under a legal hold is not.';

create index if not exists alert_identity_stored_on on mobeye.alert_identity using brin (stored_on);

create or replace function mobeye.apply_retention(camera interval, alarm interval, service interval, incident interval)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
    due record;
    total bigint := 0;
    erased bigint;
begin
    -- A partition is dropped under a lock that no alert of its class can be stored beside: at the end, and not where it
    -- takes long to be had.
    for due in
        select * from mobeye.retention_due(camera, alarm, service, incident) d
         order by case when d.what <> 'alerts' then 0 when mobeye.held_alerts(d.partition) then 1 else 2 end, d.until
    loop
        erased := due.n;
        if due.what = 'alerts' and mobeye.held_alerts(due.partition) then
            execute format('delete from %s a where not exists (select from mobeye.incident i '
                           'where i.incident_id = a.incident_id and i.legal_hold)', due.partition);
        elsif due.what = 'alerts' then
            begin
                execute format('drop table %s', due.partition);
            exception when lock_not_available or deadlock_detected then
                erased := 0; -- in an hour
            end;
        elsif due.what = 'incidents' then
            erased := mobeye.erase_incidents(array(
                select i.incident_id from mobeye.incident i
                 where i.status = 'closed' and i.closed_at < due.until and i.last_seen < due.until and not i.legal_hold
                 order by i.incident_id limit 5000 for update skip locked));
        elsif due.what = 'quarantine' then
            delete from mobeye.quarantine q where q.quarantined_at < due.until;
        elsif due.what = 'devices' then
            delete from mobeye.device_status s
             where s.last_received_at < due.until
               and not exists (select from mobeye.device d where d.device_id = s.device_id);
        else
            delete from mobeye.alert_identity a where a.stored_on < due.until::date;
        end if;
        -- A partition that was empty is no erasure.
        if erased > 0 then
            insert into mobeye.erasure (actor, what, class, until, n)
            values ('mobeyed', due.what, due.class, due.until, erased);
        end if;
        total := total + erased;
    end loop;
    return total;
end
$$;
comment on function mobeye.apply_retention(interval, interval, interval, interval) is
    'Erases what is past its time of keeping (mobeye.retention_due() lists it); returns how many rows.';

-- What is of no use any more, and says nothing of anybody.
create or replace function mobeye.tidy(alarm interval) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
    total bigint := 0;
begin
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

grant execute on function mobeye.tidy(interval), mobeye.apply_retention(interval, interval, interval, interval),
    mobeye.retention_due(interval, interval, interval, interval) to mobeye_ingest;
