-- Reported burglaries, what was done against them, and the totals of burglaries that outlast them.
-- To undo by hand: drop the tables below.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- From the police's own records. In which areas a burglary lies is not stored: it is looked up at its time, so that areas
-- may be imported later and corrected.
create table if not exists mobeye.burglary (
    burglary_id bigint generated always as identity primary key,
    reference text not null unique check (reference ~ '[^[:space:]]' and length(reference) <= 64 and reference !~ '[[:cntrl:]]'),
    occurred_from timestamptz not null check (isfinite(occurred_from)),
    occurred_until timestamptz check (isfinite(occurred_until) and occurred_until >= occurred_from),
    attempt boolean not null default false,
    method text check (length(method) <= 400),
    address text check (length(address) <= 400),
    geom public.geometry(point, 4326),
    imported_at timestamptz not null default now(),
    counted boolean not null default false, -- it was erased before, and mobeye.area_stats still counts it
    held_for text check (held_for ~ '[^[:space:]]') -- why it is under a legal hold; null: it is not
);
create index if not exists burglary_occurred on mobeye.burglary (occurred_from);
create index if not exists burglary_address on mobeye.burglary (lower(trim(address)));

-- The key of those hashes: references are short and easily tried. Written once; a dump has it.
create table if not exists mobeye.erased_key (
    the_one boolean primary key default true check (the_one),
    key bytea not null check (length(key) = 32)
);
insert into mobeye.erased_key (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')) on conflict do nothing;

-- The references of erased burglaries, hashed: one that is imported again is not counted twice.
create table if not exists mobeye.burglary_erased (
    reference uuid primary key,
    at timestamptz not null default now()
);

-- Erased placements, hashed: one that is imported again is not counted twice.
create table if not exists mobeye.placement_erased (
    placement uuid primary key,
    at timestamptz not null default now()
);

create table if not exists mobeye.measure (
    measure_id bigint generated always as identity primary key,
    kind text not null check (kind in ('letter', 'tent', 'patrol', 'other')),
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64 and code !~ '[[:cntrl:]]'),
    from_at timestamptz not null check (isfinite(from_at)),
    until_at timestamptz check (isfinite(until_at) and until_at >= from_at),
    number integer check (number >= 0),
    note text check (length(note) <= 4000),
    actor text not null default session_user,
    at timestamptz not null default now(),
    unique nulls not distinct (kind, layer, code, from_at, until_at, note)
);
create index if not exists measure_from on mobeye.measure (from_at);

-- What a report counts, by month and area, kept when the incidents and burglaries themselves are erased.
create table if not exists mobeye.area_stats (
    month date not null,
    layer text not null, -- '': of none, everything
    code text not null default '', -- '': in no area of the layer
    figure text not null, -- as in mobeye.report_figures()
    n bigint not null,
    primary key (month, layer, code, figure)
);

insert into mobeye.mutex values ('imports') on conflict do nothing;
