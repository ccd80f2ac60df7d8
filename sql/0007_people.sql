-- Who looks at incidents and who works them: front ends, transitions, mutes, and what somebody sees of which team.
-- By hand, backwards: drop the functions, type, tables and indexes below, and the columns added to
-- mobeye.incident_history.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- Tables

create table if not exists mobeye.front_end (
    login text primary key,
    note text
);
comment on table mobeye.front_end is
    'Logins of programs that act for people: their setting mobeye.acting_as says for whom, and is heeded of them alone.';

create table if not exists mobeye.transition (
    action text not null,
    from_status text not null,
    to_status text not null,
    primary key (action, from_status)
);
comment on table mobeye.transition is 'Which function of patrol takes an incident from which status to which.';
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

-- Of a device where it stands, until the incident that it was made for is restored where one is named, or of an area.
-- That it ends is no event: it is over when until has passed.
create table if not exists mobeye.mute (
    mute_id bigint generated always as identity primary key,
    device_id text collate "C",
    area text, -- 'layer:code', as in mobeye.incident.areas
    placement_id bigint, -- of the device then; null where it stood nowhere
    team text,           -- the placement's; of an area the muter's, null: of all teams
    secret boolean not null default false, -- the placement was
    incident_id bigint,  -- until all its conditions are restored
    at timestamptz not null default clock_timestamp(),
    until timestamptz not null check (isfinite(until) and until > at),
    reason text not null check (reason ~ '\S'),
    muted_by text not null,
    ended_at timestamptz, -- by a person, before its time
    ended_by text,
    check (num_nonnulls(device_id, area) = 1),
    check ((ended_at is null) = (ended_by is null))
);
comment on table mobeye.mute is 'Devices and areas whose incidents are kept out of the queue for a time.';
grant select (until, ended_at) on mobeye.mute to mobeye_ingest; -- how many there are, for mobeyectl status
create index if not exists mute_until on mobeye.mute (until);
create index if not exists mute_device on mobeye.mute (device_id) where device_id is not null;
create index if not exists mute_placement on mobeye.mute (placement_id) where placement_id is not null;
create index if not exists mute_area on mobeye.mute (area) where area is not null;

alter table mobeye.incident_history add column if not exists assigned_to text;
alter table mobeye.incident_history add column if not exists via text; -- the login, where it acted for another
-- The last change of the incident that there was then. Changes of one incident are made under its lock, so their entries
-- are in order.
alter table mobeye.incident_history add column if not exists last_change bigint;

-- None of them holds what every alert changes (last_seen, last_received_at, alert_count, active), so that those updates
-- of an incident stay heap-only.
-- In the order of the queue. An alert changes of it first_seen alone, and only where it occurred before all others of its
-- incident.
create index if not exists incident_open on mobeye.incident
    (category, delayed, priority, (verified_by is null), first_seen, incident_id) where status <> 'closed';
-- Secret ones are sought by their cell, and by whose they are: what a search reads, which anybody may count, would tell
-- where they are.
create index if not exists incident_geom on mobeye.incident using gist (geom) where not secret;
create index if not exists incident_device on mobeye.incident (device_id, incident_id);

-- The alerts of an incident. A btree on incident_id would cost the COPY of alerts a quarter of its rate; this one costs
-- less than can be measured (4 MB for 10 million alerts), since incidents that take alerts at one time have near numbers,
-- but for the few that last for weeks: hence minmax_multi. Measured with 10 million alerts of a year, between the times
-- of the incident: 1 to 2 ms, 10 ms for one of three weeks; without times, over all partitions, 10 ms.
create index if not exists alert_incident on mobeye.alert
    using brin (incident_id int8_minmax_multi_ops) with (pages_per_range = 32, autosummarize = on);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who looks

-- Within SECURITY DEFINER functions current_user is the owner; the role in force outside is the setting role, or the
-- login. It decides what may be seen; who is recorded, and whose team counts, is the person:
--   the role in force, where it is a person's (set role);
--   else whom a front end says that it acts for, with the rights of that person's own login, or of mobeye_patrol where
--   there is none;
--   else the login.
-- A login without a person, or a person without a team and without all_teams, sees no incidents: a missing row must not
-- show more.
do $$
begin
    if to_regtype('mobeye.who') is null then
        create type mobeye.who as (
            login text, via text, team text, everything boolean, officer boolean, keeper boolean, auditor boolean,
            all_rows boolean, areas text[], team_areas text[]);
    end if;
end
$$;
comment on type mobeye.who is
    'Who looks, and what for: person and login, team and its areas; whether everything is seen (owner), as an officer, '
    'as a keeper of the registry, as an auditor; whether the incidents of all teams are; the areas of all teams.';

create or replace function mobeye.viewer() returns mobeye.who
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.who;
    in_force text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    all_teams boolean := false;
    acting_as text := nullif(current_setting('mobeye.acting_as', true), '');
begin
    v.login := session_user;
    if in_force <> session_user and exists (select from mobeye.person p where p.login = in_force) then
        v.login := in_force;
    elsif acting_as is not null and exists (select from mobeye.front_end f where f.login = session_user) then
        if not exists (select from mobeye.person p where p.login = acting_as) then
            raise exception 'mobeye.acting_as is "%", who is no person here', acting_as
                using errcode = 'invalid_authorization_specification',
                      hint = 'Set it to the login of a person; mobeyectl people import brings people in.';
        end if;
        v.login := acting_as;
        in_force := case when to_regrole(quote_ident(acting_as)) is null then 'mobeye_patrol' else acting_as end;
    end if;
    v.via := nullif(session_user, v.login);
    v.everything := pg_has_role(in_force, 'mobeye_owner', 'member');
    v.officer := v.everything or pg_has_role(in_force, 'mobeye_patrol', 'member');
    v.keeper := v.everything or pg_has_role(in_force, 'mobeye_registry', 'member');
    v.auditor := v.everything or pg_has_role(in_force, 'mobeye_auditor', 'member');
    select p.team, p.all_teams into v.team, all_teams from mobeye.person p where p.login = v.login;
    v.all_rows := v.auditor or all_teams is true;
    if not v.all_rows and v.team is not null then
        v.areas := array(select a.layer || ':' || a.code from mobeye.team_area a where a.team = v.team);
        v.team_areas := array(select a.layer || ':' || a.code from mobeye.team_area a);
    end if;
    return v;
end
$$;
comment on function mobeye.viewer() is 'Who looks.';

create or replace function mobeye.in_sight(team text, areas text[], assigned_to text, v mobeye.who) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return v.all_rows
        or v.team is not null and (coalesce(team = v.team or assigned_to = v.login, false)
                                   or team is null and (areas && v.areas or not areas && v.team_areas));
end
$$;
comment on function mobeye.in_sight(text, text[], text, mobeye.who) is
    'Whether somebody sees an incident: of their team, or assigned to them; one without a team in the areas of their team, '
    'or in no team''s areas, which nobody would see otherwise. Without a team, and without the mark of all teams, nothing.';
