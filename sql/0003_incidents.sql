-- Incidents: what alerts are grouped into for people, how the daemon reads and writes them, and the stream of changes.
-- By hand, backwards: drop the tables, functions and the sequence below; the columns added to mobeye.alert may stay.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

alter table mobeye.alert add column if not exists wijk_code text;
alter table mobeye.alert add column if not exists buurt_code text;
alter table mobeye.alert add column if not exists rules uuid;

create table if not exists mobeye.rule_file (
    rules uuid primary key,
    text text not null,
    instance text not null, -- that applied it first
    applied_at timestamptz not null default now()
);
comment on table mobeye.rule_file is 'The text of every version of the rules that a daemon has applied, by its hash.';

create sequence if not exists mobeye.incident_id as bigint;

create table if not exists mobeye.incident (
    incident_id bigint primary key default nextval('mobeye.incident_id'),
    incident_key uuid not null, -- hash of category, drill and the group_by values
    accepting boolean not null default true,
    category text not null check (category in ('alarm', 'service')),
    priority smallint not null check (priority between 1 and 5),
    kind text not null,
    device_id text collate "C",
    drill boolean not null default false,
    rule text,
    rules uuid,
    team text,

    -- What the rule that made it said.
    gap interval,
    max_age interval,
    moved_over_m real,
    settle interval,
    overdue interval,
    verify_within interval,
    verify_radius_m real,
    verify_priority smallint check (verify_priority between 1 and 5),

    -- What its alerts said.
    created_at timestamptz not null default now(),
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    last_received_at timestamptz not null,
    restored_at timestamptz,
    cancelled_at timestamptz,
    delayed boolean not null default false,
    urgent boolean not null default false, -- has a panic or holdup raise: never muted
    alert_count integer not null default 0,
    active integer not null default 0,
    flaps integer not null default 0,
    geom public.geometry(point, 4326),
    accuracy_m real,
    location_source text not null default 'none',
    areas text[] not null default '{}', -- 'layer:code' of each layer
    placement_id bigint,
    verified_by text check (verified_by in ('second_device', 'second_input', 'person')),

    -- What people, and the system in their place, decided.
    status text not null default 'new'
        check (status in ('new', 'acknowledged', 'assigned', 'on_scene', 'closed', 'reopened')),
    assigned_to text,
    acknowledged_at timestamptz,
    on_scene_at timestamptz,
    closed_at timestamptz,
    outcome text check (outcome in ('confirmed', 'false_alarm', 'technical', 'no_trace', 'drill',
                                    'unattended', 'restored', 'merged')),
    closed_by_person boolean not null default false,
    overdue_since timestamptz,
    previous_id bigint,
    merged_into bigint,
    external_system text,
    external_ref text,
    legal_hold boolean not null default false,
    check ((status = 'closed') = (closed_at is not null)),
    check (status <> 'closed' or not accepting)
) with (fillfactor = 70);
comment on table mobeye.incident is
    'Incidents. The daemon writes what alerts say, by functions alone; people what they decide, by those of patrol.';
create unique index if not exists incident_accepting on mobeye.incident (incident_key) where accepting;
create index if not exists incident_key on mobeye.incident (incident_key, incident_id);

-- Which incident last took an alert of a device and kind (and input, and track).
create table if not exists mobeye.incident_thread (
    thread uuid primary key,
    incident_id bigint not null references mobeye.incident on delete cascade,
    active boolean not null
) with (fillfactor = 80);
create index if not exists incident_thread_incident on mobeye.incident_thread (incident_id);

-- What happened to incidents, numbered in the order of commits (mobeye.counter, 'changes').
create table if not exists mobeye.change (
    entry bigint generated always as identity primary key,
    change_id bigint, -- null until its transaction commits
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now(),
    incident_id bigint not null,
    op text not null check (op in ('new', 'alert', 'status', 'verified', 'overdue', 'mute', 'note', 'link')),
    status text not null,
    priority smallint not null,
    category text not null
);
create unique index if not exists change_id on mobeye.change (change_id);

create table if not exists mobeye.incident_history (
    entry bigint generated always as identity primary key,
    incident_id bigint not null,
    at timestamptz not null default now(),
    actor text not null,     -- a person's login, or 'mobeyed' for the system
    action text not null,    -- status verified note link mute look ...
    from_status text,
    to_status text,
    outcome text,
    note text
);
create index if not exists incident_history_incident on mobeye.incident_history (incident_id, entry);
