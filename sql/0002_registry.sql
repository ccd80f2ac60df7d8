-- The registry: devices, their addresses and inputs, placements, areas, people and teams; what reported without being
-- registered; versions, by which daemons notice that something changed.
-- By hand, backwards: drop the tables, functions and triggers below; the columns added to mobeye.alert may stay.

set local search_path = pg_catalog, public;

create extension if not exists btree_gist with schema public;

set local role mobeye_owner;

-- Numbers that are given in the order of commits. A transaction takes the next one as the last thing before its commit
-- (deferred triggers below), and holds the row until then: whoever has read up to N has missed nothing below N, and a
-- transaction that is left open holds up nobody.
create table if not exists mobeye.counter (
    name text primary key,
    value bigint not null
) with (fillfactor = 10);
comment on table mobeye.counter is
    'Numbers given in the order of commits: versions of the registry and of the areas, the last change of an incident.';
insert into mobeye.counter values ('registry', 0), ('areas', 0), ('changes', 0) on conflict do nothing;
grant select on mobeye.counter to mobeye_ingest;

create table if not exists mobeye.team (
    team text primary key,
    name text
);
create table if not exists mobeye.team_area (
    team text not null references mobeye.team on update cascade on delete cascade,
    layer text not null,
    code text not null,
    primary key (team, layer, code)
);
create index if not exists team_area_code on mobeye.team_area (layer, code);
create table if not exists mobeye.person (
    login text primary key,
    name text not null,
    team text references mobeye.team on update cascade on delete set null
);

create table if not exists mobeye.device (
    device_id text collate "C" primary key check (device_id ~ '^[A-Za-z0-9._:/-]{1,64}$'),
    model text,
    device_group text,
    state text not null default 'stock' check (state in ('stock', 'placed', 'repair', 'retired')),
    heartbeat interval check (heartbeat > '0'),
    grace interval not null default '0' check (grace >= '0'),
    registered_at timestamptz not null default now(),
    note text
);

-- How equipment that speaks DC-09 names itself. Without input: every input of the account that has no address of its own.
create table if not exists mobeye.device_address (
    account text not null check (account ~ '^[0-9A-F]{3,16}$'),
    input integer check (input between 0 and 65535),
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    unique nulls not distinct (account, input)
);
create index if not exists device_address_device on mobeye.device_address (device_id);

create table if not exists mobeye.device_input (
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    input integer not null check (input between 0 and 65535),
    label text not null,
    primary key (device_id, input)
);

create table if not exists mobeye.placement (
    placement_id bigint generated always as identity primary key,
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    during tstzrange not null check (not isempty(during) and not lower_inf(during) and lower_inc(during) and not upper_inc(during)),
    geom public.geometry(point, 4326) not null
        check (public.st_x(geom) between -180 and 180 and public.st_y(geom) between -90 and 90),
    address text,
    bag_id text,
    team text references mobeye.team on update cascade,
    secret boolean not null default false,
    instructions text,
    constraint placement_overlap exclude using gist (device_id with =, during with &&)
);

create table if not exists mobeye.area (
    area_id bigint generated always as identity primary key,
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64),
    name text not null,
    vintage integer check (vintage between 1900 and 2999),
    valid tstzrange not null default '(,)',
    geom public.geometry(multipolygon, 4326) not null,
    unique nulls not distinct (layer, code, vintage)
);
create index if not exists area_geom on mobeye.area using gist (geom);

-- What a device was last heard to say, registered or not. The daemon writes it, at most once a minute a device.
create table if not exists mobeye.device_status (
    device_id text collate "C" primary key,
    registered boolean not null,
    first_received_at timestamptz not null,
    last_received_at timestamptz not null,
    last_occurred_at timestamptz not null,
    endpoint text not null,
    source text not null,
    kind text not null,
    battery_pct integer,
    signal_dbm integer,
    fix public.geometry(point, 4326), -- its last plausible one
    fix_accuracy_m real,
    fix_at timestamptz,
    silent_since timestamptz, -- set by upkeep, cleared by the next alert
    alerts bigint not null default 0
) with (fillfactor = 70);

-- Which devices changed by which version of the registry.
create table if not exists mobeye.registry_log (
    entry bigint generated always as identity primary key,
    version bigint, -- null until its transaction commits
    device_id text collate "C" not null,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now()
);
create index if not exists registry_log_version on mobeye.registry_log (version);
