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

-- How the daemon reads the registry and the areas ---------------------------------------------------------------------

create index if not exists placement_device on mobeye.placement (device_id);

-- What changed since a version, or everything where that is asked for (0), where the database has not come as far (it
-- was restored), or where the log no longer reaches back. One snapshot, since a stable function has that of its caller.
-- The first row is a head: name is 'everything' or 'changes'. Then the rows of one device follow each other, its
-- placements by time: what is 'device' (name: its group), 'gone', 'address' (name: account), 'placement' (name: team)
-- or, where everything is asked for, 'fix'.
create or replace function mobeye.registry_since(known bigint)
returns table (version bigint, device_id text, what text, name text, input integer, id bigint,
    since timestamptz, until timestamptz, lon float8, lat float8, accuracy_m real)
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    newest bigint := (select c.value from mobeye.counter c where c.name = 'registry');
    everything boolean := known <= 0 or known > newest
        or known < newest and known + 1 < coalesce((select min(l.version) from mobeye.registry_log l), newest + 1);
    changed text[];
begin
    if not everything then
        changed := array(select distinct l.device_id from mobeye.registry_log l where l.version > known);
    end if;
    return query select newest, null::text, 'head', case when everything then 'everything' else 'changes' end,
        null::integer, null::bigint, null::timestamptz, null::timestamptz, null::float8, null::float8, null::real;
    return query select newest, x.* from (
        select d.device_id, 'device', d.device_group, null::integer, null::bigint, null::timestamptz as since,
            null::timestamptz, null::float8, null::float8, null::real
            from mobeye.device d where everything or d.device_id = any (changed)
        union all
        select c.device_id, 'gone', null, null, null, null, null, null, null, null
            from unnest(changed) c (device_id)
            where not exists (select from mobeye.device d where d.device_id = c.device_id)
        union all
        select a.device_id, 'address', a.account, a.input, null, null, null, null, null, null
            from mobeye.device_address a where everything or a.device_id = any (changed)
        union all
        select p.device_id, 'placement', p.team, null, p.placement_id, lower(p.during), upper(p.during),
            st_x(p.geom), st_y(p.geom), null
            from mobeye.placement p where everything or p.device_id = any (changed)
        union all
        select s.device_id, 'fix', null, null, null, s.fix_at, null, st_x(s.fix), st_y(s.fix), s.fix_accuracy_m
            from mobeye.device_status s where everything and s.fix is not null and s.fix_at > now() - interval '1 day'
        ) x order by x.device_id collate "C", x.since;
end
$$;
comment on function mobeye.registry_since(bigint) is
    'For the daemon: the devices, addresses and placements that changed since a version; 0: all, with last fixes.';

-- All areas, or one row of nulls; each row has the version.
create or replace function mobeye.areas_now()
returns table (version bigint, layer text, code text, vintage integer, since timestamptz, until timestamptz, polygon bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
begin atomic
    select c.value, a.layer, a.code, a.vintage, lower(a.valid), upper(a.valid), st_asbinary(a.geom, 'NDR')
        from mobeye.counter c left join mobeye.area a on not isempty(a.valid)
        where c.name = 'areas';
end;
comment on function mobeye.areas_now() is 'For the daemon: all areas as WKB, with the version of the areas.';

grant execute on function mobeye.registry_since(bigint), mobeye.areas_now() to mobeye_ingest;
