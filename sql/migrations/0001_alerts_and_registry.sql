-- Roles, schemas, and the tables of alerts and of the registry.
-- To undo by hand: drop schema patrol, mobeye cascade. The roles and extensions may be in use by other databases.

set local search_path = pg_catalog, public;

create extension if not exists postgis with schema public;
create extension if not exists btree_gist with schema public;

do $$
declare
    found_in text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace
                       where e.extname = 'postgis');
begin
    if found_in <> 'public' then
        raise exception 'extension postgis: installed in schema "%" (expected "public")', found_in
            using hint = 'Install mobeyed in a database of its own.';
    end if;
end
$$;

-- Roles belong to the whole cluster: they may exist already, or be created by another database at the same moment.
do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('mobeye_owner', 'nologin', 'mobeyed: owns the schemas mobeye and patrol'),
            ('mobeye_ingest', 'login', 'mobeyed: the daemon'),
            ('mobeye_patrol', 'nologin', 'mobeyed: enforcement officers and the programs that act for them'),
            ('mobeye_registry', 'nologin', 'mobeyed: people who manage devices, placements and areas'),
            ('mobeye_auditor', 'nologin', 'mobeyed: people who check what was done'),
            ('mobeye_analyst', 'nologin', 'mobeyed: people who make reports, and see figures only'),
            ('mobeye_board', 'login', 'mobeyed: the board, which acts for the person who looks at it')) as r(name, login, meaning)
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
    -- A session learns what others have done to roles when it first locks a relation: until then it may remember that the
    -- role does not exist, although it has just waited for it.
    perform from pg_tablespace;
    if not pg_has_role('mobeye_owner', 'usage') then
        execute format('grant mobeye_owner to %I', current_user);
    end if;
    -- To see and end the sessions that keep retention from dropping a partition.
    begin
        grant pg_signal_backend, pg_read_all_stats to mobeye_owner;
    exception
        when unique_violation then
            null;
        when insufficient_privilege then
            raise notice 'mobeye_owner: pg_signal_backend and pg_read_all_stats cannot be granted'
                using hint = 'Open readers of alerts may delay retention.';
    end;
end
$$;

create schema if not exists mobeye authorization mobeye_owner;
create schema if not exists patrol authorization mobeye_owner;

set local role mobeye_owner;

-- The right to execute a function is granted one by one, in sql/code/grants.sql.
alter default privileges revoke execute on functions from public;

create table if not exists mobeye.schema_version (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user
);

-- The files of sql/code that were applied, and the version of the program that applied them.
create table if not exists mobeye.schema_code (
    file text primary key,
    sha256 text not null,
    program text not null,
    applied_at timestamptz not null default now()
);

-- Any login can take an advisory lock and stop the daemon. Only the daemon's role can reach these rows; a lock on one
-- lasts until the transaction ends.
create table if not exists mobeye.mutex (
    name text primary key
);
insert into mobeye.mutex values ('areas'), ('partitions') on conflict do nothing;

-- Numbers assigned in commit order. A transaction takes the next number as its last step before the commit and holds
-- the row until then: a reader that has seen N has missed nothing below N, and a transaction that stays open blocks
-- nobody.
create table if not exists mobeye.counter (
    name text primary key,
    value bigint not null
) with (fillfactor = 10);
insert into mobeye.counter values ('registry', 0), ('areas', 0), ('changes', 0) on conflict do nothing;

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions that a stored column depends on. They cannot change without rewriting that column.

-- A WGS84 point in RD New (EPSG:28992).
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

-- The centre of the 125 m cell of RD New that stands for a secret place.
create or replace function mobeye.cell(rd public.geometry) returns public.geometry
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return public.st_setsrid(public.st_makepoint(floor(public.st_x(rd) / 125) * 125 + 62.5,
                                                 floor(public.st_y(rd) / 125) * 125 + 62.5), 28992);
end
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Alerts

-- One small row per journal, updated by every batch: free space on the page keeps those updates heap-only.
create table if not exists mobeye.journal_position (
    journal uuid primary key,
    instance text not null,
    position bigint not null,
    checksum bigint not null,
    updated_at timestamptz not null default now()
) with (fillfactor = 10);

-- The identities of stored alerts, in the periods in which they were stored. Random keys in one index would cost a page of it for
-- nearly every alert, read, and after each checkpoint written to the WAL in full. So only the current period takes new ones and
-- stays small; closed ones refuse them by the constraint "closed", and are looked up only for identities that their filters know.
create table if not exists mobeye.identity_period (
    period integer primary key,
    began_at timestamptz not null default now(),
    closed_at timestamptz, -- null: the current one
    identities bigint, -- in a closed one that has its filter
    filter bytea -- of a closed one, by mobeye.make_identity_filters(); null: any identity may be in it
);
alter table mobeye.identity_period alter column filter set storage external;
create unique index if not exists identity_period_current on mobeye.identity_period ((true)) where closed_at is null;

-- No key: each partition has its own, (id). A primary key here would include the period, and be a third larger.
create table if not exists mobeye.alert_identity (
    id uuid not null,
    device bigint not null,
    period integer not null
) partition by list (period);
create table if not exists mobeye.alert_identity_1 partition of mobeye.alert_identity (primary key (id)) for values in (1);
insert into mobeye.identity_period (period) values (1) on conflict do nothing;

-- Where alerts came in and what they were judged by: repeated by so many that each alert stores only the number. The daemon
-- takes the number from a hash of the rest, and adds the row before the first alert that has it.
create table if not exists mobeye.alert_origin (
    origin bigint primary key,
    instance text not null,
    endpoint text not null,
    rule text,
    rules uuid -- the ruleset that was applied
);

-- Alerts as they are stored; mobeye.alert_decoded shows them in words. Words are codes here, those of daemon/model/alert.h, and the
-- payload is the text that came, which the daemon has checked: of the time that a COPY takes, jsonb was a quarter, and
-- words, text[] and repeated texts were a tenth, and a quarter of the bytes.
-- No unique index: alert_identity decides what is a duplicate. No DEFAULT partition: an alert without a partition is
-- refused (23514), and the writer then creates the partition.
create table if not exists mobeye.alert (
    class smallint not null, -- 0 alarm, 1 camera, 2 service
    kind smallint not null,
    phase smallint not null,
    location_source smallint not null, -- 0 none, 1 message, 2 placement, 3 last_known
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    stored_at timestamptz not null default now(),
    journal_seq bigint not null,
    origin bigint not null, -- in mobeye.alert_origin, without a foreign key: checking it would take as long as the rest
    incident_id bigint,
    clock_skew interval,
    flags integer not null, -- a bit for each
    input integer,
    accuracy_m real,
    drill boolean not null,
    -- These decide who may see the alert; stored with it and never looked up later.
    secret boolean not null default false, -- the placement was secret, or has become secret since
    placement_id bigint,
    team text, -- the team of that placement
    areas text[], -- 'layer:code' of each layer; only for alerts that have neither an incident nor a team
    geom geometry(point, 4326),
    wijk_code text,
    buurt_code text,
    image_id uuid, -- its image in mobeye.snapshot, which is erased by itself; null: it came without one
    device_id text collate "C" not null,
    source text not null,
    event_id text not null,
    payload text not null
) partition by list (class);
create table if not exists mobeye.alert_alarm partition of mobeye.alert for values in (0)
    partition by range (occurred_at);
create table if not exists mobeye.alert_camera partition of mobeye.alert for values in (1)
    partition by range (occurred_at);
create table if not exists mobeye.alert_service partition of mobeye.alert for values in (2)
    partition by range (occurred_at);
create index if not exists alert_device on mobeye.alert (device_id, occurred_at);
-- Times of receipt rise, so this index grows at its right edge only and costs the COPY next to nothing.
create index if not exists alert_received on mobeye.alert (received_at);
-- The alerts of an incident. A btree on incident_id would cost the COPY a quarter of its rate; this index costs less than
-- can be measured (4 MB for 10 million alerts): incidents that take alerts at the same time have numbers close to each
-- other, except the few that last for weeks, hence minmax_multi. Measured with 10 million alerts of a year, between the
-- times of the incident: 1 to 2 ms, 10 ms for an incident of three weeks; without times, over all partitions, 10 ms.
create index if not exists alert_incident on mobeye.alert
    using brin (incident_id int8_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on);

-- Images of alerts, whatever the kind of their alert, by day. JPEG, PNG and WebP are compressed already: stored outside the
-- row as they are, so that a look at size or hash reads none of the image.
create table if not exists mobeye.snapshot (
    image_id uuid not null,
    occurred_at timestamptz not null, -- of the alert, as the next
    device_id text collate "C" not null,
    placement_id bigint,
    incident_id bigint,
    stored_at timestamptz not null default now(),
    score real,
    media_type text not null,
    width integer,
    height integer,
    bytes integer not null generated always as (octet_length(image)) stored,
    sha256 bytea not null generated always as (sha256(image)) stored,
    image bytea not null
) partition by range (occurred_at);
alter table mobeye.snapshot alter column image set storage external;
create index if not exists snapshot_image on mobeye.snapshot (image_id);
create index if not exists snapshot_device on mobeye.snapshot (device_id, occurred_at);
-- The best image of an incident comes first.
create index if not exists snapshot_incident
    on mobeye.snapshot (incident_id, score desc nulls last, occurred_at desc, image_id);

create table if not exists mobeye.quarantine (
    id bigint generated always as identity primary key,
    quarantined_at timestamptz not null default now(),
    instance text,
    journal uuid,
    journal_seq bigint,
    identity uuid unique,
    event_identity uuid, -- of (source, event_id), as mobeye.alert_identity has it
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
-- A record that cannot be read has no identity; its position tells it apart when the journal is applied again.
create unique index if not exists quarantine_unreadable on mobeye.quarantine (journal, journal_seq)
    where identity is null;
create index if not exists quarantine_device on mobeye.quarantine (device_id collate "C") where device_id is not null;

-- ---------------------------------------------------------------------------------------------------------------------
-- The registry: teams and people, devices and placements, areas

create table if not exists mobeye.team (
    team text primary key check (team <> '' and length(team) <= 64 and team !~ '[[:cntrl:]]' and team <> '*'),
    name text
);

create table if not exists mobeye.team_area (
    team text not null references mobeye.team on update cascade on delete cascade,
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64 and code !~ '[[:cntrl:]]'),
    primary key (team, layer, code)
);
create index if not exists team_area_code on mobeye.team_area (layer, code);

create table if not exists mobeye.person (
    login text primary key check (login <> '' and length(login) <= 63 and login !~ '[[:cntrl:]]'),
    name text not null check (length(name) <= 200 and name !~ '[[:cntrl:]]'),
    team text references mobeye.team on update cascade on delete set null,
    all_teams boolean not null default false
);

-- Logins of programs that act for people: the setting mobeye.acting_as is honoured for these logins only.
create table if not exists mobeye.proxy_login (
    login text primary key,
    note text
);
insert into mobeye.proxy_login values ('mobeye_board', 'mobeye-board') on conflict do nothing;

create table if not exists mobeye.device (
    device_id text collate "C" primary key check (device_id ~ '^[A-Za-z0-9._:/-]{1,64}$'),
    model text check (length(model) <= 200 and model !~ '[[:cntrl:]]'),
    device_group text check (length(device_group) <= 64 and device_group !~ '[[:cntrl:]]'),
    state text not null default 'stock' check (state in ('stock', 'placed', 'repair', 'retired')),
    -- Bounded: an absurd value would overflow in the search for silent devices and end it for all devices.
    heartbeat interval check (heartbeat > '0' and heartbeat <= '366 days'),
    grace interval not null default '0' check (grace >= '0' and grace <= '366 days'),
    registered_at timestamptz not null default now(),
    note text,
    -- Names are given to other devices, and numbers given again after a restore: by this a log of erasures knows the device.
    device_uuid uuid not null unique default gen_random_uuid()
);

create table if not exists mobeye.device_address (
    account text not null check (account ~ '^[0-9A-F]{1,16}$'),
    input integer check (input between 0 and 65535),
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    since timestamptz not null default now()
);
-- Accounts are compared without leading zeros: a spreadsheet turns 0371 into 371.
create unique index if not exists device_address_account on mobeye.device_address (ltrim(account, '0'), input)
    nulls not distinct;
create index if not exists device_address_device on mobeye.device_address (device_id);

create table if not exists mobeye.device_input (
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    input integer not null check (input between 0 and 65535),
    label text not null,
    primary key (device_id, input)
);

-- Alerts keep the name that their device had.
create table if not exists mobeye.device_renamed (
    earlier_id text collate "C" not null,
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    at timestamptz not null default now(),
    primary key (device_id, earlier_id, at)
);
create index if not exists device_renamed_earlier on mobeye.device_renamed (earlier_id);

-- What is stored under the name of an account is of a device that had it, too.
create table if not exists mobeye.earlier_address (
    account text not null,
    input integer,
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    since timestamptz not null,
    until timestamptz not null default now()
);
create index if not exists earlier_address_device on mobeye.earlier_address (device_id);
create index if not exists earlier_address_account on mobeye.earlier_address (ltrim(account, '0'));

create table if not exists mobeye.placement (
    placement_id bigint generated always as identity primary key,
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    during tstzrange not null default tstzrange(now(), null)
        check (not isempty(during) and not lower_inf(during) and lower_inc(during) and not upper_inc(during)),
    geom public.geometry(point, 4326) not null,
    address text check (length(address) <= 400),
    bag_id text check (length(bag_id) <= 64),
    team text references mobeye.team on update cascade on delete set null,
    secret boolean not null default false,
    instructions text check (length(instructions) <= 4000),
    cell public.geometry(point, 4326) generated always as (public.st_transform(mobeye.cell(mobeye.rd(geom)), 4326)) stored,
    moved_from bigint, -- the placement that this one ended when it was created, for device_undo()
    -- Erased at a person's request, and kept without its address while alerts of its period may come: they stay secret, and can be
    -- found by the address again. mobeye.erased_reference() of that address, or of none a random one.
    erased uuid,
    -- On a hash of the id: GiST over text takes seven times as long. check_placement() reports a conflict in words.
    constraint placement_overlap exclude using gist (hashtextextended(device_id, 0) with =, during with &&)
);
create index if not exists placement_device on mobeye.placement (device_id, lower(during));
-- A search by address touches only those secret placements whose address the reader may know: neither its duration nor
-- the number of rows it reads reveals the others.
create index if not exists placement_address on mobeye.placement (lower(address), secret, team);

-- The last sign of life of each device, registered or not. The daemon writes it at most once a minute per device.
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
    fix public.geometry(point, 4326), -- the last plausible one
    fix_accuracy_m real,
    fix_at timestamptz,
    silent_since timestamptz, -- set by maintenance, cleared by the next alert
    alerts bigint not null default 0
) with (fillfactor = 70);
create index if not exists device_status_unregistered on mobeye.device_status (device_id) where not registered;

-- The type of geom is left open, because a column type is enforced before a trigger can turn a polygon into a
-- multipolygon. The check is worded as PostGIS words it when it reports the type to QGIS.
create table if not exists mobeye.area (
    area_id bigint generated always as identity primary key,
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64 and code !~ '[[:cntrl:]]'),
    name text not null check (length(name) <= 200 and name !~ '[[:cntrl:]]'),
    vintage integer check (vintage between 1900 and 2999),
    valid tstzrange not null default '(,)',
    homes integer check (homes > 0), -- for figures per 1,000 homes
    geom public.geometry(geometry, 4326) not null,
    constraint enforce_geotype_geom check (public.geometrytype(geom) = 'MULTIPOLYGON'::text),
    unique nulls not distinct (layer, code, vintage)
);
create index if not exists area_geom on mobeye.area using spgist (geom); -- a place among 1,350 areas takes 8 us, with gist 33

-- Which devices changed in which version of the registry. A daemon that has read version N reads the devices of later
-- versions only, or all devices when the oldest version here is later than N + 1.
create table if not exists mobeye.registry_log (
    entry bigint generated always as identity primary key,
    version bigint, -- null until its transaction commits
    device_id text collate "C" not null,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now(),
    forget tstzrange
);
create index if not exists registry_log_version on mobeye.registry_log (version);
create index if not exists registry_log_forget on mobeye.registry_log (device_id) where forget is not null;

-- The first change of a transaction inserts a row, which is deleted at the commit: one number per transaction, however
-- many rows changed.
create table if not exists mobeye.pending_version (
    name text,
    xid xid8 default pg_current_xact_id(),
    primary key (name, xid)
);
