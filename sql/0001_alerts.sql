-- Alerts: roles, places, the tables that the daemon writes, partitions, patrol.alerts.
-- By hand, backwards: drop schema patrol, mobeye cascade; the roles and the extension stay, others may use them.

set local search_path = pg_catalog, public;

create extension if not exists postgis with schema public;

do $$
declare
    found_in text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace
                       where e.extname = 'postgis');
begin
    if found_in <> 'public' then
        raise exception 'the extension postgis is in schema "%", and mobeyed looks for it in "public"', found_in
            using hint = 'Install mobeyed in a database of its own.';
    end if;
end
$$;

-- Roles belong to the whole cluster: another database of it may have them, or be making them at this moment.
do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('mobeye_owner', 'nologin', 'mobeyed: owns the schemas mobeye and patrol'),
            ('mobeye_ingest', 'login', 'mobeyed: the daemon'),
            ('mobeye_patrol', 'nologin', 'mobeyed: enforcement officers and their front ends'),
            ('mobeye_registry', 'nologin', 'mobeyed: those who manage devices, placements and areas'),
            ('mobeye_auditor', 'nologin', 'mobeyed: those who check what was done')) as r(name, login, meaning)
    loop
        if not exists (select from pg_roles where rolname = wanted.name) then
            begin
                execute format('create role %I %s', wanted.name, wanted.login);
                execute format('comment on role %I is %L', wanted.name, wanted.meaning);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
    end loop;
    if not pg_has_role('mobeye_owner', 'usage') then
        execute format('grant mobeye_owner to %I', current_user);
    end if;
end
$$;

create schema if not exists mobeye authorization mobeye_owner;
create schema if not exists patrol authorization mobeye_owner;
comment on schema mobeye is 'mobeyed: the tables. sql/README.md says who writes what.';
comment on schema patrol is 'mobeyed: what enforcement uses; the part that other systems may rely on.';

set local role mobeye_owner;

-- What a role may execute is granted function by function.
alter default privileges revoke execute on functions from public;

grant usage on schema mobeye to mobeye_ingest;
grant usage on schema patrol to mobeye_patrol, mobeye_auditor;

create table if not exists mobeye.schema_version (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user
);
comment on table mobeye.schema_version is 'Migrations that were applied, by mobeyectl migrate.';
grant select on mobeye.schema_version to mobeye_ingest;

-- Places in RD New, which the Netherlands use, and the cells of 125 m that stand for secret ones.
create or replace function mobeye.rd(geom public.geometry) returns public.geometry
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if public.st_x(geom) between 2 and 8 and public.st_y(geom) between 50 and 54.5 then
        return public.st_transform(geom, 28992);
    end if;
    return null;
end
$$;
comment on function mobeye.rd(public.geometry) is
    'A WGS84 point in RD New (EPSG:28992); null where that has no meaning, outside the Netherlands and their surroundings.';

create or replace function mobeye.cell(rd public.geometry) returns public.geometry
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return public.st_setsrid(public.st_makepoint(floor(public.st_x(rd) / 125) * 125 + 62.5,
                                                 floor(public.st_y(rd) / 125) * 125 + 62.5), 28992);
end
$$;
comment on function mobeye.cell(public.geometry) is 'The centre of the 125 m cell that a point in RD New is in.';

-- One small row a journal, updated by every batch: room on the page keeps those updates heap-only.
create table if not exists mobeye.journal_position (
    journal uuid primary key,
    instance text not null,
    position bigint not null,
    checksum bigint not null,
    updated_at timestamptz not null default now()
) with (fillfactor = 10);
comment on table mobeye.journal_position is
    'How far each journal is stored: the last record that is applied, and its checksum.';
grant select, insert, update on mobeye.journal_position to mobeye_ingest;

create table if not exists mobeye.alert_identity (
    id uuid primary key,
    device bigint not null,
    stored_on date not null default current_date
);
comment on table mobeye.alert_identity is
    'Which alerts are stored: a 128-bit hash of (source, event_id), kept at least as long as any alert.';
comment on column mobeye.alert_identity.device is
    'A hash of the identity and the device as the message names it; 0 for SIA DC-09, where it does not matter.';
grant select, insert on mobeye.alert_identity to mobeye_ingest;

-- Everybody takes locks in one order (new identities, then rows of old ones, then own identities, each sorted), so that
-- two daemons never wait for each other in a circle.
create or replace function mobeye.claim_conflicts(ids uuid[], devices bigint[], own_ids uuid[])
returns setof integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    today date := (now() at time zone 'utc')::date;
    places integer[];
    taken uuid[];
begin
    select array_agg(g.n::integer order by own_ids[g.n]), array_agg(g.id) into places, taken
      from unnest(ids, devices) with ordinality as g (id, device, n)
      join mobeye.alert_identity a on a.id = g.id
     where a.device <> g.device and a.device <> 0;
    if places is null then
        return;
    end if;
    -- Kept at least as long as the own ones, or what has one of those could come back under this.
    perform from mobeye.alert_identity a where a.id = any (taken) and a.stored_on < today order by a.id for update;
    update mobeye.alert_identity a set stored_on = today where a.id = any (taken) and a.stored_on < today;
    return query
    with new as (
        insert into mobeye.alert_identity as a (id, device, stored_on)
        select own_ids[p], devices[p], today from unnest(places) as p
            on conflict do nothing returning a.id)
    select p from unnest(places) as p join new n on n.id = own_ids[p];
end
$$;
comment on function mobeye.claim_conflicts(uuid[], bigint[], uuid[]) is
    'Of alerts whose identities are stored: the places in the arrays of those that are of another device than the stored one, and whose own identities are new.';
grant execute on function mobeye.claim_conflicts(uuid[], bigint[], uuid[]) to mobeye_ingest;

-- No unique index: identity is settled in alert_identity. No DEFAULT partition: an alert without a partition is
-- refused (23514), and the writer makes the partition.
create table if not exists mobeye.alert (
    class text collate "C" not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    stored_at timestamptz not null default now(),
    clock_skew interval,
    source text not null,
    event_id text not null,
    instance text not null,
    journal_seq bigint not null,
    endpoint text not null,
    device_id text collate "C" not null,
    kind text not null,
    phase text not null,
    input integer,
    drill boolean not null,
    flags text[] not null,
    geom geometry(point, 4326),
    accuracy_m real,
    location_source text not null,
    rule text,
    incident_id bigint,
    payload jsonb not null,
    -- Who may see it, and where it is from, as that was when it was stored.
    placement_id bigint,
    team text,     -- of that placement
    secret boolean not null default false, -- that placement was, or has become so
    areas text[]   -- 'layer:code' of each layer, where it has neither an incident nor a team to be seen by
) partition by list (class);
comment on table mobeye.alert is 'Alerts, by retention class and time of occurrence; the daemon appends by COPY.';
grant insert on mobeye.alert to mobeye_ingest;

create table if not exists mobeye.alert_camera partition of mobeye.alert for values in ('camera')
    partition by range (occurred_at);
create table if not exists mobeye.alert_alarm partition of mobeye.alert for values in ('alarm')
    partition by range (occurred_at);
create table if not exists mobeye.alert_service partition of mobeye.alert for values in ('service')
    partition by range (occurred_at);
comment on table mobeye.alert_camera is 'Alerts of kind camera, a partition a day.';
comment on table mobeye.alert_alarm is 'Alerts of people and buildings in trouble, a partition a month.';
comment on table mobeye.alert_service is 'Alerts about the equipment itself, a partition a month.';

create index if not exists alert_device on mobeye.alert (device_id, occurred_at);
-- Receipts rise, so this one grows at its right edge alone, and costs the COPY next to nothing.
create index if not exists alert_received on mobeye.alert (received_at);

create table if not exists mobeye.quarantine (
    id bigint generated always as identity primary key,
    quarantined_at timestamptz not null default now(),
    instance text,
    journal uuid,
    journal_seq bigint,
    identity uuid unique,
    endpoint text,
    received_at timestamptz,
    device_id text,
    source text,
    event_id text,
    sqlstate text,
    reason text not null,
    record bytea not null,
    payload bytea
);
-- A record that cannot be read has no identity; it is itself when the journal is applied again.
create unique index if not exists quarantine_unreadable on mobeye.quarantine (journal, journal_seq)
    where identity is null;
comment on table mobeye.quarantine is
    'Accepted alerts that the database refused: the journal record, the reason, and what could be read of it.';
comment on column mobeye.quarantine.identity is
    'A hash of (source, event_id), in CloudEvents of the device too; null where the record cannot be read.';
comment on column mobeye.quarantine.sqlstate is 'Of the refusal; null where the record cannot be read.';
-- A retry locks its row (for update), which takes the right to update a column; this one cannot be given a value.
grant select, insert, delete, update (id) on mobeye.quarantine to mobeye_ingest;

-- Advisory locks can be taken by any login, which could stop the daemon: these are rows that nobody else
-- reaches, locked until the transaction ends.
create table if not exists mobeye.turn (
    name text primary key
);
comment on table mobeye.turn is 'Who makes or drops partitions, or changes vintages of areas, locks the row of that name.';
insert into mobeye.turn values ('areas'), ('partitions') on conflict do nothing;

create or replace function mobeye.lock_partitions() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ select from mobeye.turn where name = 'partitions' for update $$;
comment on function mobeye.lock_partitions() is 'Waits until nobody else makes or drops partitions, and keeps others from it.';

-- Returns the end of the last partition that it looked at. In UTC, whatever the session thinks.
create or replace function mobeye.make_partitions(class text, from_at timestamptz, until_at timestamptz)
returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
    parent text := 'alert_' || class;
    unit text := case class when 'camera' then 'day' when 'alarm' then 'month' when 'service' then 'month' end;
    suffix text := case unit when 'day' then 'YYYYMMDD' else 'YYYYMM' end;
    lower_end timestamptz := date_trunc(unit, from_at);
    upper_end timestamptz;
    partition text;
begin
    if unit is null then
        raise exception 'alert class "%" does not exist', class
            using errcode = 'invalid_parameter_value', hint = 'The classes are alarm, camera and service.';
    end if;
    if (from_at < until_at and from_at >= '1970-01-01' and until_at <= from_at + interval '400 days') is not true then
        raise exception 'partitions from % until % are not a time to make partitions for', from_at, until_at
            using errcode = 'invalid_parameter_value', hint = 'From 1970 on, and at most 400 days at once.';
    end if;
    perform mobeye.lock_partitions();
    while lower_end < until_at loop
        upper_end := lower_end + ('1 ' || unit)::interval;
        partition := parent || '_' || to_char(lower_end, suffix);
        if to_regclass('mobeye.' || partition) is null then
            -- Made beside the table and then attached, which does not wait for inserts, nor they for it.
            execute format('create table mobeye.%I (like mobeye.%I including defaults including constraints)', partition, parent);
            execute format('alter table mobeye.%I attach partition mobeye.%I for values from (%L) to (%L)',
                           parent, partition, lower_end, upper_end);
        end if;
        lower_end := upper_end;
    end loop;
    return lower_end;
end
$$;
comment on function mobeye.make_partitions(text, timestamptz, timestamptz) is
    'Makes the partitions of a class of alerts that are missing between two times; returns the end of the last.';

create or replace function mobeye.premake_partitions(camera interval default '28 days', alarm interval default '31 days',
                                                     service interval default '31 days') returns timestamptz
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    -- A camera day is dropped when its start is past its time, the month of the others when its end is.
    select min(mobeye.make_partitions(k.class, now() - least(k.keep, interval '31 days'), now() + interval '7 days'))
      from (values ('camera', camera - interval '1 day'), ('alarm', alarm), ('service', service)) as k(class, keep)
$$;
comment on function mobeye.premake_partitions(interval, interval, interval) is
    'Makes the partitions from as far back as each class is kept, at most 31 days, to a week ahead; returns until when '
    'alerts of every class can be stored.';

create or replace function mobeye.journal_rewind(journal uuid, "position" bigint, checksum bigint) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    before bigint;
begin
    select p.position into before from mobeye.journal_position p where p.journal = journal_rewind.journal for update;
    if before is null then
        raise exception 'the database does not know a journal %', journal
            using errcode = 'no_data_found', hint = 'mobeye.journal_position lists the journals that it knows.';
    end if;
    if ("position" between 0 and before) is not true then
        raise exception 'journal % is stored up to record %, so it cannot go back to %', journal, before, "position"
            using errcode = 'invalid_parameter_value', hint = 'A journal is only ever set back, and at most to 0.';
    end if;
    if "position" < before then
        update mobeye.journal_position p
           set position = journal_rewind.position, checksum = journal_rewind.checksum, updated_at = now()
         where p.journal = journal_rewind.journal;
    end if;
    perform pg_notify('mobeye_journal', journal::text);
    return before;
end
$$;
comment on function mobeye.journal_rewind(uuid, bigint, bigint) is
    'Has the daemon apply its journal again from the record after position, and tells it so; returns where it stood.';

grant execute on function mobeye.make_partitions(text, timestamptz, timestamptz), mobeye.premake_partitions(interval, interval, interval),
    mobeye.journal_rewind(uuid, bigint, bigint) to mobeye_ingest;

create or replace function patrol.api_version() returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as 'select 1';
comment on function patrol.api_version() is
    'Version of the schema patrol: it rises with what is added; nothing is renamed or taken away.';

create or replace view patrol.alerts with (security_barrier) as
select source, event_id, instance, journal_seq, device_id, endpoint, kind, phase, input, drill, occurred_at,
       received_at, clock_skew, geom, accuracy_m, location_source, flags, null::text as wijk_code,
       null::text as buurt_code, rule, incident_id, payload
  from mobeye.alert;
comment on view patrol.alerts is 'Every alert that was accepted, once.';
comment on column patrol.alerts.source is 'Who sent it; with event_id its identity.';
comment on column patrol.alerts.event_id is 'The sender''s id of the alert.';
comment on column patrol.alerts.instance is 'The daemon that accepted it.';
comment on column patrol.alerts.journal_seq is 'Its number in that daemon''s journal: the order of acceptance.';
comment on column patrol.alerts.device_id is 'The device that it is about.';
comment on column patrol.alerts.endpoint is 'Name of the endpoint that it came in by.';
comment on column patrol.alerts.kind is
    'intrusion motion panic holdup tamper fire heat cold water camera power battery comms keepalive arm bypass, or '
    'unknown (the sender''s word is in payload).';
comment on column patrol.alerts.phase is 'raise, restore or update.';
comment on column patrol.alerts.input is 'Numbered input of the alarm set; null where it gave none.';
comment on column patrol.alerts.drill is 'Marked by the sender as a drill.';
comment on column patrol.alerts.occurred_at is
    'When it occurred by the sender''s clock; time of receipt where flags has clock.';
comment on column patrol.alerts.received_at is 'When the daemon received it.';
comment on column patrol.alerts.clock_skew is
    'The sender''s time minus that of receipt; null where it gave no readable time.';
comment on column patrol.alerts.geom is 'Its place, WGS84; null where none is known.';
comment on column patrol.alerts.accuracy_m is 'How far off geom may be, in metres; null where unknown.';
comment on column patrol.alerts.location_source is 'Where geom is from: message, placement, last_known or none.';
comment on column patrol.alerts.flags is
    'What was odd about it, as words (clock, bad_location, stale_fix ...); empty where nothing.';
comment on column patrol.alerts.wijk_code is 'District of geom; null where none is known.';
comment on column patrol.alerts.buurt_code is 'Neighbourhood of geom; null where none is known.';
comment on column patrol.alerts.rule is 'Name of the rule that decided about it; null where none matched.';
comment on column patrol.alerts.incident_id is 'The incident that it counts to; null where none.';
comment on column patrol.alerts.payload is 'The message as it came.';

grant execute on function patrol.api_version() to mobeye_patrol, mobeye_auditor;
grant select on patrol.alerts to mobeye_patrol, mobeye_auditor;
