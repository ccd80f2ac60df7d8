-- Incidents: their conditions, changes and history, the work of people on them, and maintenance.
-- To undo by hand: drop the tables, the types and the sequence below.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

create table if not exists mobeye.ruleset (
    rules uuid primary key, -- hash of the text
    text text not null,
    instance text not null, -- the daemon that applied it first
    applied_at timestamptz not null default now()
);

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

    -- From the rule that created it.
    gap interval,
    max_age interval,
    moved_over_m real,
    settle interval,
    overdue interval[], -- steps, ascending
    verify_within interval,
    verify_radius_m real,
    verify_priority smallint check (verify_priority between 1 and 5),

    -- From its alerts.
    created_at timestamptz not null default now(),
    -- For the radio: the year in Amsterdam and the number. Stored, so that it can be indexed.
    reference text not null generated always as (
        extract(year from created_at at time zone 'Europe/Amsterdam')::integer::text || '-'
        || lpad(incident_id::text, greatest(6, length(incident_id::text)), '0')) stored,
    reopened_at timestamptz, -- last
    released_at timestamptz, -- last
    stored_at timestamptz not null default now(), -- when the daemon last stored an alert that joined it
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    first_received_at timestamptz not null default now(), -- earliest receipt of its alerts, in whatever order they were stored
    last_received_at timestamptz not null,
    restored_at timestamptz,
    restore_received_at timestamptz, -- when the daemon received the restore that last left no condition active
    cancelled_at timestamptz,
    delayed boolean not null default false,
    urgent boolean not null default false, -- a panic or holdup raise joined: never muted
    alert_count integer not null default 0,
    active integer not null default 0,
    flaps integer not null default 0,
    geom public.geometry(point, 4326),
    extent box, -- of an alarm, no drill: of the places of its raises, rounded outwards; geom is only the best place
    accuracy_m real,
    location_source text not null default 'none',
    areas text[] not null default '{}', -- 'layer:code' of each layer
    areas_throughout text[], -- those of areas in which it has lain since it began; null: all of them
    placement_id bigint,
    device_placement_id bigint, -- where device_id stood; null: nowhere
    -- An alert came from a secret placement of this team (null: of no team, or of several), in this 125 m cell.
    secret boolean not null default false,
    secret_team text,
    cell public.geometry(point, 4326),
    verified_by text check (verified_by in ('second_device', 'second_input', 'person')),

    -- From people, or from the system in their place.
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
    overdue_step smallint not null default 0, -- steps of overdue that have passed
    previous_id bigint,
    merged_into bigint,
    external_system text,
    external_ref text,
    legal_hold boolean not null default false,
    check ((status = 'closed') = (closed_at is not null)),
    check (status <> 'closed' or not accepting)
) with (fillfactor = 70);
create unique index if not exists incident_accepting on mobeye.incident (incident_key) where accepting;
create index if not exists incident_key on mobeye.incident (incident_key, incident_id);
create unique index if not exists incident_reference on mobeye.incident (reference);

-- No index below holds a column that every alert changes (last_seen, last_received_at, alert_count, active): updates of
-- an incident stay heap-only.

-- Candidates for verification: open alarms, and those closed recently. SP-GiST takes half the time of GiST to maintain, and
-- about the same to search. Category and drill are not in its condition, but in whether there is an extent: a query that asks
-- for them is answered by incident_open while the tables are empty, and that plan stays in use when they are not.
create index if not exists incident_near on mobeye.incident using spgist (extent) where status <> 'closed';
create index if not exists incident_alarm_closed on mobeye.incident (closed_at)
    where status = 'closed' and category = 'alarm' and not drill;
create index if not exists incident_closed on mobeye.incident (closed_at) where status = 'closed';
create index if not exists incident_waiting on mobeye.incident (created_at) where status in ('new', 'reopened');
-- In the order of the queue. An alert changes only first_seen of these columns, and only if it occurred before all other
-- alerts of its incident.
create index if not exists incident_open on mobeye.incident
    (category, delayed, priority, (verified_by is null), first_seen, incident_id) where status <> 'closed';
-- Reports read a period; in the order in which incidents came.
create index if not exists incident_first_seen on mobeye.incident using brin (first_seen);
create index if not exists incident_device on mobeye.incident (device_id, incident_id);
create index if not exists incident_placement on mobeye.incident (placement_id) where placement_id is not null;
-- Secret incidents are found by their cell and by their owner. Everybody may count the rows that a search reads: a search
-- by place would reveal where they are.
create index if not exists incident_geom on mobeye.incident using spgist (geom) where not secret;
create index if not exists incident_cell on mobeye.incident using gist (cell) where cell is not null;
create index if not exists incident_secret on mobeye.incident (team, placement_id) where secret;
create index if not exists incident_secret_team on mobeye.incident (secret_team) where secret;
create index if not exists incident_secret_officer on mobeye.incident (assigned_to)
    where secret and assigned_to is not null;

-- A condition is a device and kind (and input, and track). No foreign key: checking it would take longer than the insert.
-- Whatever erases an incident erases its conditions.
create table if not exists mobeye.incident_condition (
    condition uuid primary key,
    incident_id bigint not null,
    active boolean not null,
    since timestamptz, -- time of occurrence of the alert that set active; an earlier alert does not change it
    device_id text collate "C" not null,
    input integer
) with (fillfactor = 80);
create index if not exists incident_condition_incident on mobeye.incident_condition (incident_id);

-- What happened to incidents, numbered in commit order (mobeye.counter, 'changes').
create table if not exists mobeye.change (
    entry bigint generated always as identity primary key,
    change_id bigint, -- null until it is numbered, within a second after the commit
    at timestamptz not null default now(),
    incident_id bigint not null,
    op text not null check (op in ('new', 'alert', 'status', 'verified', 'overdue', 'mute', 'note', 'link')),
    status text not null,
    priority smallint not null,
    category text not null,
    urgent boolean not null default false, -- a panic or holdup joined
    -- The incident went from one team or officer to another, or, of no team, from one area to another: those who saw it before see
    -- this change too.
    moved boolean not null default false,
    team_before text,
    areas_before text[], -- of one that had no team
    assigned_before text
);
create index if not exists change_incident on mobeye.change (incident_id, entry);
create unique index if not exists change_id on mobeye.change (change_id);
create index if not exists change_unnumbered on mobeye.change (entry) where change_id is null;

create table if not exists mobeye.incident_history (
    entry bigint generated always as identity primary key,
    incident_id bigint not null,
    at timestamptz not null default now(),
    actor text not null, -- a person's login, or 'mobeyed' for the system
    action text not null, -- status verified note link mute look ...
    from_status text,
    to_status text,
    outcome text,
    assigned_to text,
    note text,
    via text, -- the login, if it acted for another person
    -- The last change of the incident at that time. Changes of one incident are written under its lock, so their entries
    -- are in order.
    last_change bigint,
    image_id uuid -- of a look at an image
);
create index if not exists incident_history_incident on mobeye.incident_history (incident_id, entry);

create table if not exists mobeye.transition (
    action text not null,
    from_status text not null,
    to_status text not null,
    primary key (action, from_status)
);
insert into mobeye.transition values
    ('acknowledge', 'new', 'acknowledged'), ('acknowledge', 'reopened', 'acknowledged'),
    ('assign', 'new', 'assigned'), ('assign', 'acknowledged', 'assigned'), ('assign', 'assigned', 'assigned'),
    ('assign', 'on_scene', 'assigned'), ('assign', 'reopened', 'assigned'),
    ('release', 'assigned', 'acknowledged'),
    ('on_scene', 'new', 'on_scene'), ('on_scene', 'acknowledged', 'on_scene'), ('on_scene', 'assigned', 'on_scene'),
    ('on_scene', 'reopened', 'on_scene'),
    ('close', 'new', 'closed'), ('close', 'acknowledged', 'closed'), ('close', 'assigned', 'closed'),
    ('close', 'on_scene', 'closed'), ('close', 'reopened', 'closed'),
    ('reopen', 'closed', 'reopened')
on conflict do nothing;

-- A mute applies to a device at its placement, or to an area. Its end is not an event: it is over once "until" has passed.
create table if not exists mobeye.mute (
    mute_id bigint generated always as identity primary key,
    device_id text collate "C",
    area text, -- 'layer:code', as in mobeye.incident.areas
    placement_id bigint, -- that of the device at that time; null: it was not placed
    team text, -- that of the placement; for an area, that of the person who muted it; null: all teams
    secret boolean not null default false, -- the placement was secret
    incident_id bigint, -- ends when every condition of this incident is restored
    at timestamptz not null default clock_timestamp(),
    until timestamptz not null check (isfinite(until) and until > at),
    reason text not null check (reason ~ '[^[:space:]]'),
    muted_by text not null,
    ended_at timestamptz, -- when a person ended it before its time
    ended_by text,
    over boolean not null default false, -- patrol.changes has its end
    check (num_nonnulls(device_id, area) = 1),
    check ((ended_at is null) = (ended_by is null))
);
create index if not exists mute_until on mobeye.mute (until);
create index if not exists mute_incident on mobeye.mute (incident_id) where incident_id is not null;
create index if not exists mute_device on mobeye.mute (device_id) where device_id is not null;
create index if not exists mute_placement on mobeye.mute (placement_id) where placement_id is not null;
create index if not exists mute_area on mobeye.mute (area) where area is not null;

-- ---------------------------------------------------------------------------------------------------------------------
-- Types that functions exchange

do $$
begin
    if to_regtype('mobeye.viewer') is null then
        create type mobeye.viewer as (
            login text,            -- the person
            via text,              -- the login, if it acts for another person
            team text,
            is_owner boolean,      -- sees everything
            is_officer boolean,
            is_registrar boolean,
            is_auditor boolean,
            all_teams boolean,     -- sees the incidents of every team
            areas text[],          -- 'layer:code' of the areas of the team
            team_areas text[]);    -- and of all teams
    end if;
    -- Something that was raised, and a device that may have raised something nearby at about that time.
    if to_regtype('mobeye.near_raises') is null then
        create type mobeye.near_raises as (
            incident_id bigint,
            device_id text,
            from_at timestamptz,   -- first and last raise
            until_at timestamptz,
            within interval,       -- of the rule
            radius_m real,
            wanted boolean,        -- not verified yet
            other_id bigint,       -- the same of the other device
            other text,
            other_within interval,
            other_radius_m real,
            other_wanted boolean);
    end if;
    -- The alerts of a device in a period are found under all names that it had.
    if to_regtype('mobeye.subject_scope') is null then
        create type mobeye.subject_scope as (
            device_id text,
            during tstzrange,
            names text[],          -- of the device, earlier ones included
            known jsonb,           -- names in the log of an erasure, each with its time; null: those that the registry knows
            placements bigint[],   -- within the period
            own bigint[],          -- incidents that are of the device alone
            joined bigint[]);      -- incidents that others began, or joined
    end if;
end
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Maintenance

-- The state of each daemon. Silence is judged up to the time until which every live daemon has stored what it received.
create table if not exists mobeye.daemon (
    journal uuid primary key,
    instance text not null,
    alive_at timestamptz not null,
    applied_until timestamptz not null,
    gap_until timestamptz not null,
    verified_until timestamptz not null
);

create table if not exists mobeye.endpoint_status (
    instance text not null,
    endpoint text not null,
    expect_every interval,
    since timestamptz not null default now(),
    last_received_at timestamptz,
    silent_since timestamptz,
    back_at timestamptz,
    primary key (instance, endpoint)
);

-- The session that leads. Not an advisory lock: any login can take those, and would stop maintenance.
create table if not exists mobeye.leader (
    name text primary key,
    pid integer,
    backend_start timestamptz,
    since timestamptz
);
insert into mobeye.leader values ('maintenance') on conflict do nothing;

-- How each job last ended, for the metrics of every daemon, mobeyectl status and doctor.
create table if not exists mobeye.maintenance (
    job text primary key,
    every interval not null,
    first_at timestamptz not null default now(),
    succeeded_at timestamptz,
    failed_at timestamptz,
    error text
);

-- What was erased, without its content: enough to erase it again after an older backup was restored.
create table if not exists mobeye.erasure (
    erasure_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null default session_user,
    what text not null, -- alerts images incidents quarantine devices fixes mutes placements identities subject
    class text,
    until timestamptz, -- everything of the class before this time
    device_id text, -- for a person's request, with the period
    device_uuid uuid, -- of that device; null if it was not registered
    during tstzrange,
    names jsonb, -- under which anything was erased, each with the time of the first and the last of it
    n bigint not null
);

-- Incidents by month, counted before they are erased.
create table if not exists mobeye.incident_stats (
    month date not null,
    wijk_code text not null default '',
    category text not null,
    kind text not null,
    outcome text not null default '',
    incidents bigint not null,
    alerts bigint not null,
    primary key (month, wijk_code, category, kind, outcome)
);
