-- The registry: devices, their addresses and inputs, placements, areas, people and teams; what reported without being
-- registered; versions, by which daemons notice that something changed, and how they read it.
-- By hand, backwards: drop the tables, views and functions below, and the extension btree_gist.

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
comment on column mobeye.counter.name is 'registry, areas or changes.';
comment on column mobeye.counter.value is 'The last number that was given.';
insert into mobeye.counter values ('registry', 0), ('areas', 0), ('changes', 0) on conflict do nothing;

-- People and teams -----------------------------------------------------------------------------------------------

create table if not exists mobeye.team (
    team text primary key check (team <> '' and length(team) <= 64 and team !~ '[[:cntrl:]]' and team <> '*'),
    name text
);
comment on table mobeye.team is 'Teams of officers; mobeyectl teams import fills it.';
comment on column mobeye.team.team is 'Its short name, as placements, rules and people give it.';
comment on column mobeye.team.name is 'What people call it; null where that is the short name.';

create table if not exists mobeye.team_area (
    team text not null references mobeye.team on update cascade on delete cascade,
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64 and code !~ '[[:cntrl:]]'),
    primary key (team, layer, code)
);
create index if not exists team_area_code on mobeye.team_area (layer, code);
comment on table mobeye.team_area is 'The areas that a team looks after, by layer and code, whichever the vintage.';
comment on column mobeye.team_area.team is 'The team.';
comment on column mobeye.team_area.layer is 'Layer of the area.';
comment on column mobeye.team_area.code is 'Code of the area; it need not be there yet.';

create table if not exists mobeye.person (
    login text primary key check (login <> '' and length(login) <= 63 and login !~ '[[:cntrl:]]'),
    name text not null check (length(name) <= 200 and name !~ '[[:cntrl:]]'),
    team text references mobeye.team on update cascade on delete set null,
    all_teams boolean not null default false
);
comment on table mobeye.person is 'Officers and other people, by their login; mobeyectl people import fills it.';
comment on column mobeye.person.login is 'Login to the database, or name that a front end gives for the person.';
comment on column mobeye.person.name is 'Name, as colleagues see it.';
comment on column mobeye.person.team is 'The team that the person is in; null for none.';
comment on column mobeye.person.all_teams is
    'A control room: sees the incidents of all teams. Without it, and without a team, a person sees none.';

-- Devices --------------------------------------------------------------------------------------------------------

create table if not exists mobeye.device (
    device_id text collate "C" primary key check (device_id ~ '^[A-Za-z0-9._:/-]{1,64}$'),
    model text check (length(model) <= 200 and model !~ '[[:cntrl:]]'),
    device_group text check (length(device_group) <= 64 and device_group !~ '[[:cntrl:]]'),
    state text not null default 'stock' check (state in ('stock', 'placed', 'repair', 'retired')),
    -- Bounded, or one absurd value would be an error in the search for silent devices, and end it for all.
    heartbeat interval check (heartbeat > '0' and heartbeat <= '366 days'),
    grace interval not null default '0' check (grace >= '0' and grace <= '366 days'),
    registered_at timestamptz not null default now(),
    note text
);
comment on table mobeye.device is 'Devices that are registered.';
comment on column mobeye.device.device_id is 'As the device names itself in alerts: 1 to 64 of A-Z a-z 0-9 . _ : / -';
comment on column mobeye.device.model is 'Model, as CM4000.';
comment on column mobeye.device.device_group is 'Group, which rules can match.';
comment on column mobeye.device.state is
    'placed while a placement holds, else stock; repair and retired are set by people, and take no new placement.';
comment on column mobeye.device.heartbeat is 'How often it reports at least; null where it is never missed.';
comment on column mobeye.device.grace is 'How much later than its heartbeat is not yet silence.';
comment on column mobeye.device.registered_at is 'Since when it is registered.';
comment on column mobeye.device.note is 'What people want to remember of it.';

create table if not exists mobeye.device_address (
    account text not null check (account ~ '^[0-9A-F]{1,16}$'),
    input integer check (input between 0 and 65535),
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade
);
-- Accounts compare without leading zeros: a spreadsheet makes 371 of 0371.
create unique index if not exists device_address_account on mobeye.device_address (ltrim(account, '0'), input)
    nulls not distinct;
create index if not exists device_address_device on mobeye.device_address (device_id);
comment on table mobeye.device_address is 'How equipment that speaks SIA DC-09 names itself.';
comment on column mobeye.device_address.account is
    'Account: 1 to 16 of 0-9 A-F; compared without leading zeros.';
comment on column mobeye.device_address.input is
    'Input (zone); null: every input of the account that has no address of its own.';
comment on column mobeye.device_address.device_id is 'The device that it is.';

create table if not exists mobeye.device_input (
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    input integer not null check (input between 0 and 65535),
    label text not null,
    primary key (device_id, input)
);
comment on table mobeye.device_input is 'What is connected to the inputs of a device.';
comment on column mobeye.device_input.device_id is 'The device.';
comment on column mobeye.device_input.input is 'Number of the input.';
comment on column mobeye.device_input.label is 'What it is, as "back door".';

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
    -- By a hash of the id, since GiST over texts takes seven times as long; check_placement() says it in words.
    constraint placement_overlap exclude using gist (hashtextextended(device_id, 0) with =, during with &&)
);
create index if not exists placement_device on mobeye.placement (device_id, lower(during));
comment on table mobeye.placement is 'Where each device stood, and when: one place at a time.';
comment on column mobeye.placement.placement_id is 'Its number.';
comment on column mobeye.placement.device_id is 'The device.';
comment on column mobeye.placement.during is 'From when (included) until when (excluded); without end: until it is moved.';
comment on column mobeye.placement.geom is 'The place, WGS84.';
comment on column mobeye.placement.address is 'Its address.';
comment on column mobeye.placement.bag_id is 'Its number in the register of addresses and buildings (BAG).';
comment on column mobeye.placement.team is 'The team whose it is, whatever the area; null where the area decides.';
comment on column mobeye.placement.secret is 'Only its team may know the place.';
comment on column mobeye.placement.instructions is 'What a patrol should know before it goes there.';
comment on column mobeye.placement.cell is
    'Centre of its 125 m cell, WGS84: all that others see of a secret place. Null outside the reach of RD New.';

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
comment on table mobeye.device_status is
    'What each device, registered or not, was last heard to say; written at most once a minute a device.';
comment on column mobeye.device_status.device_id is 'The device; dc09:ACCOUNT/INPUT where its address is not registered.';
comment on column mobeye.device_status.registered is 'Whether it was registered when it was last heard.';
comment on column mobeye.device_status.first_received_at is 'When it was first heard.';
comment on column mobeye.device_status.last_received_at is 'When it was last heard.';
comment on column mobeye.device_status.last_occurred_at is 'The time that its last alert gave.';
comment on column mobeye.device_status.endpoint is 'The endpoint that its last alert came in by.';
comment on column mobeye.device_status.source is 'The sender of its last alert.';
comment on column mobeye.device_status.kind is 'Kind of its last alert.';
comment on column mobeye.device_status.battery_pct is 'Its last battery level, in percent.';
comment on column mobeye.device_status.signal_dbm is 'Its last signal strength, in dBm.';
comment on column mobeye.device_status.fix is 'The last plausible place that it reported.';
comment on column mobeye.device_status.fix_accuracy_m is 'How far off fix may be, in metres.';
comment on column mobeye.device_status.fix_at is 'When fix was taken.';
comment on column mobeye.device_status.silent_since is 'Since when it is silent; null where it is not.';
comment on column mobeye.device_status.alerts is 'How many alerts of it were stored.';

-- A view, so that a device that was registered after it was last heard is not unknown any more.
create or replace view mobeye.device_unknown as
select s.device_id, s.first_received_at, s.last_received_at, s.kind, s.endpoint, s.source, s.alerts
  from mobeye.device_status s
 where not s.registered
   and not exists (select from mobeye.device d where d.device_id = s.device_id)
   and not exists (select from mobeye.device_address a
                    where s.device_id ~ '^dc09:[0-9A-F]{3,}'
                      and ltrim(a.account, '0') = ltrim(split_part(substr(s.device_id, 6), '/', 1), '0')
                      and (a.input is null or a.input::text = split_part(s.device_id, '/', 2)));
comment on view mobeye.device_unknown is 'Senders that reported and are not registered.';
comment on column mobeye.device_unknown.device_id is 'As it names itself; dc09:ACCOUNT/INPUT for SIA DC-09.';
comment on column mobeye.device_unknown.first_received_at is 'When it was first heard.';
comment on column mobeye.device_unknown.last_received_at is 'When it was last heard.';
comment on column mobeye.device_unknown.kind is 'Kind of its last alert.';
comment on column mobeye.device_unknown.endpoint is 'The endpoint that its last alert came in by.';
comment on column mobeye.device_unknown.source is 'The sender of its last alert.';
comment on column mobeye.device_unknown.alerts is 'How many alerts of it were stored.';

-- Areas ----------------------------------------------------------------------------------------------------------

-- The type of geom is left open, since a type is enforced before a trigger can make a multipolygon of a polygon. The
-- check is in the words from which PostGIS tells QGIS the type.
create table if not exists mobeye.area (
    area_id bigint generated always as identity primary key,
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64 and code !~ '[[:cntrl:]]'),
    name text not null check (length(name) <= 200 and name !~ '[[:cntrl:]]'),
    vintage integer check (vintage between 1900 and 2999),
    valid tstzrange not null default '(,)',
    geom public.geometry(geometry, 4326) not null,
    constraint enforce_geotype_geom check (public.geometrytype(geom) = 'MULTIPOLYGON'::text),
    unique nulls not distinct (layer, code, vintage)
);
create index if not exists area_geom on mobeye.area using gist (geom);
comment on table mobeye.area is 'Areas on the map, in layers: wijk, buurt, beat, hotspot and the like.';
comment on column mobeye.area.area_id is 'Its number.';
comment on column mobeye.area.layer is 'The layer: a lower-case letter, then at most 31 of a-z 0-9 _ -';
comment on column mobeye.area.code is 'Its code, unique in layer and vintage, as WK030710.';
comment on column mobeye.area.name is 'Its name.';
comment on column mobeye.area.vintage is 'The year from whose 1 January it holds; null: always.';
comment on column mobeye.area.valid is
    'When it holds: from 1 January of vintage (in Amsterdam) until that of the layer''s next one. Kept by triggers.';
comment on column mobeye.area.geom is 'The area, WGS84; what is written here is made a valid multipolygon.';

-- Versions -------------------------------------------------------------------------------------------------------

-- Which devices changed by which version of the registry. A daemon that has read up to version N reads the devices of
-- the versions above it, or all of them where the oldest version here is above N + 1.
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
comment on table mobeye.registry_log is
    'Which devices changed by which version of the registry. Old entries may be deleted, whole versions at a time.';
comment on column mobeye.registry_log.entry is 'Its number.';
comment on column mobeye.registry_log.version is 'Version of the registry (mobeye.counter), given at commit.';
comment on column mobeye.registry_log.device_id is 'The device; both ids where it was given another.';
comment on column mobeye.registry_log.xid is 'The transaction.';
comment on column mobeye.registry_log.at is 'When that began.';
comment on column mobeye.registry_log.forget is
    'Nothing of the device itself changed: its last known place is erased, where it was taken in this time.';

-- A row here is made by the first change of a transaction and taken away at its commit, so that a number is taken once
-- however many rows changed.
create table if not exists mobeye.version_due (
    name text,
    xid xid8 default pg_current_xact_id(),
    primary key (name, xid)
);
comment on table mobeye.version_due is 'Which versions a transaction will take at its commit; empty for everybody else.';
comment on column mobeye.version_due.name is 'The counter.';
comment on column mobeye.version_due.xid is 'The transaction.';

create or replace function mobeye.take_versions() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    due text;
    taken bigint;
begin
    -- All that are due, in one order: two transactions never wait for each other's counters.
    for due in select d.name from mobeye.version_due d where d.xid = pg_current_xact_id() order by d.name loop
        delete from mobeye.version_due d where d.name = due and d.xid = pg_current_xact_id();
        update mobeye.counter c set value = c.value + 1 where c.name = due returning c.value into strict taken;
        if due = 'registry' then
            update mobeye.registry_log set version = taken where version is null and xid = pg_current_xact_id();
        end if;
        perform pg_notify('mobeye_' || due, taken::text);
    end loop;
    return null;
end
$$;
comment on function mobeye.take_versions() is
    'At commit: gives the transaction its versions, and tells the listeners of mobeye_registry and mobeye_areas.';

drop trigger if exists version_at_commit on mobeye.version_due;
create constraint trigger version_at_commit after insert on mobeye.version_due
    deferrable initially deferred for each row execute function mobeye.take_versions();

-- Of a statement, not of each row: an import of 100,000 devices costs one insert here.
create or replace function mobeye.log_registry() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed bigint;
begin
    if tg_op = 'INSERT' then
        insert into mobeye.registry_log (device_id) select distinct n.device_id from new_rows n;
    elsif tg_op = 'DELETE' then
        insert into mobeye.registry_log (device_id) select distinct o.device_id from old_rows o;
    elsif tg_op = 'TRUNCATE' then
        execute format('insert into mobeye.registry_log (device_id) select distinct device_id from mobeye.%I', tg_table_name);
    else
        insert into mobeye.registry_log (device_id)
        select c.device_id from (select * from old_rows except select * from new_rows) c
        union
        select c.device_id from (select * from new_rows except select * from old_rows) c;
    end if;
    get diagnostics changed = row_count;
    if changed > 0 then
        insert into mobeye.version_due values ('registry') on conflict do nothing;
    end if;
    return null;
end
$$;
comment on function mobeye.log_registry() is 'Writes down which devices a statement changed; one that changes nothing is none.';

create or replace function mobeye.lock_areas() returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select from mobeye.turn where name = 'areas' for update $$;
comment on function mobeye.lock_areas() is 'Waits until nobody else changes vintages of areas, and keeps others from it.';
grant execute on function mobeye.lock_areas() to mobeye_registry;

-- Two that change the vintages of a layer at once take turns, or neither would see the other's.
create or replace function mobeye.keep_valid(layers text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_areas();
    update mobeye.area a
       set valid = v.valid
      from (select layer, vintage,
                   case when vintage is null then '(,)'
                        else tstzrange(mobeye.vintage_start(vintage),
                                       mobeye.vintage_start(lead(vintage) over (partition by layer order by vintage)))
                   end as valid
              from (select distinct b.layer, b.vintage from mobeye.area b where b.layer = any (layers)) b) v
     where a.layer = v.layer and a.vintage is not distinct from v.vintage and a.valid <> v.valid;
end
$$;
comment on function mobeye.keep_valid(text[]) is 'Sets from when until when the vintages of the layers hold.';

create or replace function mobeye.vintage_start(vintage integer) returns timestamptz
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select make_timestamptz(vintage, 1, 1, 0, 0, 0, 'Europe/Amsterdam') $$;
comment on function mobeye.vintage_start(integer) is 'From when a vintage holds.';

create or replace function mobeye.log_areas() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed boolean := true;
    layers text[] := '{}'; -- whose vintages may be others now
begin
    if tg_op = 'INSERT' then
        layers := array(select distinct n.layer from new_rows n);
        changed := layers <> '{}';
    elsif tg_op = 'DELETE' then
        layers := array(select distinct o.layer from old_rows o);
        changed := layers <> '{}';
    elsif tg_op = 'UPDATE' then
        changed := exists (select * from old_rows except select * from new_rows);
        layers := array(
            select c.layer from (select o.area_id, o.layer, o.vintage, o.valid from old_rows o
                                 except select n.area_id, n.layer, n.vintage, n.valid from new_rows n) c
            union
            select c.layer from (select n.area_id, n.layer, n.vintage, n.valid from new_rows n
                                 except select o.area_id, o.layer, o.vintage, o.valid from old_rows o) c);
    end if;
    if changed then
        insert into mobeye.version_due values ('areas') on conflict do nothing;
    end if;
    if layers <> '{}' then
        perform mobeye.keep_valid(layers);
    end if;
    return null;
end
$$;
comment on function mobeye.log_areas() is 'Notes that a statement changed areas, and keeps right when their vintages hold.';

-- Each of its tables, when and by which function a change is noted.
do $$
declare
    noted record;
begin
    for noted in
        select t.name, t.noter from (values
            ('device', 'log_registry'), ('device_address', 'log_registry'), ('device_input', 'log_registry'),
            ('placement', 'log_registry'), ('area', 'log_areas')) as t(name, noter)
    loop
        execute format('create or replace trigger log_insert after insert on mobeye.%I '
                       'referencing new table as new_rows for each statement execute function mobeye.%I()',
                       noted.name, noted.noter);
        execute format('create or replace trigger log_update after update on mobeye.%I '
                       'referencing old table as old_rows new table as new_rows '
                       'for each statement execute function mobeye.%I()', noted.name, noted.noter);
        execute format('create or replace trigger log_delete after delete on mobeye.%I '
                       'referencing old table as old_rows for each statement execute function mobeye.%I()',
                       noted.name, noted.noter);
        execute format('create or replace trigger log_truncate before truncate on mobeye.%I '
                       'for each statement execute function mobeye.%I()', noted.name, noted.noter);
    end loop;
end
$$;

-- Rights ---------------------------------------------------------------------------------------------------------

grant usage on schema mobeye to mobeye_registry;
grant select, insert, update, delete on mobeye.device, mobeye.device_address, mobeye.device_input, mobeye.placement,
    mobeye.area to mobeye_registry;
grant select on mobeye.counter, mobeye.registry_log, mobeye.team, mobeye.team_area, mobeye.device_status,
    mobeye.device_unknown to mobeye_registry;

grant select on mobeye.counter, mobeye.registry_log, mobeye.device, mobeye.device_address,
    mobeye.area, mobeye.team, mobeye.team_area, mobeye.device_unknown to mobeye_ingest;
-- Where a device stands, and not at which address, nor what patrols are told of it.
grant select (placement_id, device_id, during, geom, team, secret, cell) on mobeye.placement to mobeye_ingest;
grant select on mobeye.device_status to mobeye_ingest; -- it writes by mobeye.note_devices()

grant execute on function mobeye.vintage_start(integer) to mobeye_registry;

-- How the daemon reads the registry and the areas ---------------------------------------------------------------------

-- What changed since a version, or everything where that is asked for (0), where the database has not come as far (it
-- was restored), or where the log no longer reaches back. One snapshot, since a stable function has that of its caller.
-- The first row is a head: name is 'everything' or 'changes'. Then the rows of one device follow each other, its
-- placements by time: what is 'device' (name: its group), 'gone', 'address' (name: account), 'placement' (name: team,
-- input: 1 where it is secret), 'forget' (a last fix of that time) or, where everything is asked for, 'fix'.
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
        select p.device_id, 'placement', p.team, p.secret::integer, p.placement_id, lower(p.during), upper(p.during),
            st_x(p.geom), st_y(p.geom), null
            from mobeye.placement p where everything or p.device_id = any (changed)
        union all
        select l.device_id, 'forget', null, null, null, lower(l.forget), upper(l.forget), null, null, null
            from mobeye.registry_log l where l.forget is not null and (everything or l.version > known)
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
