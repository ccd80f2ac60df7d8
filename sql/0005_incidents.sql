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
grant select (applied_at) on mobeye.rule_file to mobeye_ingest; -- the last change, for mobeyectl status

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
    -- For the radio: the year in Amsterdam and the number. Stored, so that a condition on it goes by an index.
    reference text not null generated always as (
        extract(year from created_at at time zone 'Europe/Amsterdam')::integer::text || '-'
        || lpad(incident_id::text, greatest(6, length(incident_id::text)), '0')) stored,
    stored_at timestamptz not null default now(), -- when the daemon last stored an alert of it
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
    -- An alert of it came from a secret placement: of this team (null: of none, or of several), within this 125 m cell.
    secret boolean not null default false,
    secret_team text,
    cell public.geometry(point, 4326),
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
create unique index if not exists incident_reference on mobeye.incident (reference);
-- Who may verify whom: the alarms that take alerts, and those that were closed of late. Both change seldom, and what
-- alerts change of an incident is in no index, so that updates stay heap-only.
create index if not exists incident_near on mobeye.incident using gist (geom)
    where accepting and category = 'alarm' and not drill;
create index if not exists incident_closed on mobeye.incident (closed_at) where status = 'closed';

-- Which incident last took an alert of a device and kind (and input, and track). No foreign key: checking it would take
-- longer than the insert. Who erases incidents erases their threads.
create table if not exists mobeye.incident_thread (
    thread uuid primary key,
    incident_id bigint not null,
    active boolean not null,
    since timestamptz, -- of occurrence: what made it so; what occurred before leaves it so
    device_id text collate "C" not null,
    input integer
) with (fillfactor = 80);
comment on table mobeye.incident_thread is
    'Which incident last took an alert of a device and kind (and input, and track), and whether it is still raised.';
create index if not exists incident_thread_incident on mobeye.incident_thread (incident_id);

-- What happened to incidents, numbered in the order of commits (mobeye.counter, 'changes').
create table if not exists mobeye.change (
    entry bigint generated always as identity primary key,
    change_id bigint, -- null until it is numbered, within a second of its commit
    at timestamptz not null default now(),
    incident_id bigint not null,
    op text not null check (op in ('new', 'alert', 'status', 'verified', 'overdue', 'mute', 'note', 'link')),
    status text not null,
    priority smallint not null,
    category text not null,
    urgent boolean not null default false, -- a panic or holdup joined
    -- It went from one team, or officer, to another: those who saw it before are told as well.
    moved boolean not null default false,
    team_before text,
    assigned_before text
);
comment on table mobeye.change is 'What happened to incidents, numbered in the order of commits.';
create index if not exists change_incident on mobeye.change (incident_id, entry);
create unique index if not exists change_id on mobeye.change (change_id);
create index if not exists change_unnumbered on mobeye.change (entry) where change_id is null;

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
comment on table mobeye.incident_history is 'Who decided what about an incident, and when.';
create index if not exists incident_history_incident on mobeye.incident_history (incident_id, entry);

-- People's changes get their numbers in a short transaction that is not theirs: a session that holds the counter delays storing,
-- and a person's transaction may be left open. The counter is locked first and the changes read afterwards, so that what
-- became visible earlier has the lower number. The daemon calls it every second and with each batch, others where no daemon
-- runs (patrol.number_changes()).
create or replace function mobeye.number_changes() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    fresh bigint[];
    last bigint;
begin
    if not exists (select from mobeye.change c where c.change_id is null) then
        return 0;
    end if;
    perform from mobeye.counter where name = 'changes' for update;
    fresh := array(select c.entry from mobeye.change c where c.change_id is null order by c.entry limit 10000);
    update mobeye.counter set value = value + cardinality(fresh) where name = 'changes' returning value into last;
    update mobeye.change c set change_id = last - cardinality(fresh) + n.place
      from unnest(fresh) with ordinality as n (entry, place)
     where c.entry = n.entry;
    return cardinality(fresh);
end
$$;
comment on function mobeye.number_changes() is
    'Numbers the changes that are committed and have no number, at most 10,000; returns how many.';

-- The daemon's changes, as the last statement before its COMMIT: numbered as they are made.
create or replace function mobeye.add_changes(incidents bigint[], ops text[], urgent boolean[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    last bigint;
begin
    perform mobeye.number_changes();
    update mobeye.counter set value = value + cardinality(incidents) where name = 'changes' returning value into last;
    insert into mobeye.change (change_id, incident_id, op, status, priority, category, urgent)
    select last - cardinality(incidents) + n.place, i.incident_id, n.op, i.status, i.priority, i.category, n.urgent
      from unnest(incidents, ops, add_changes.urgent) with ordinality as n (incident_id, op, urgent, place)
      join mobeye.incident i on i.incident_id = n.incident_id;
end
$$;
comment on function mobeye.add_changes(bigint[], text[], boolean[]) is
    'Adds changes of incidents (urgent: a panic or holdup joined) under the next numbers. The counter stays locked until the commit, so it comes next.';

-- What alerts may join, locked in the order of incident_id. Rows of two kinds: first the incidents (id is the key), then
-- the threads (id is the thread, first_seen since when it is as it is, marks 1 where it is active; priority is null).
--   threads           of the alerts
--   family_from, _to  bounds of the threads of a device and kind, of which the active ones are wanted: a restore
--   keys              of the alerts whose rule makes incidents, with the times of occurrence of the first and the last
-- The incidents are those of the threads; of each key the accepting one; and where alerts of the key are too early for
-- that, or there is none, the latest others that lie no further than their gap from the alerts.
-- The threads are read when the incidents are locked: nobody else changes them then. What another daemon makes anew at
-- this moment is not seen; the index on accepting keys finds that out.
create or replace function mobeye.read_incidents(
    threads uuid[], family_from uuid[], family_to uuid[],
    keys uuid[], key_from timestamptz[], key_until timestamptz[])
returns table (
    incident_id bigint, id uuid, marks integer, priority smallint, verify_priority smallint, kind text, device_id text,
    first_seen timestamptz, last_seen timestamptz, last_received_at timestamptz, closed_at timestamptz,
    restored_at timestamptz, cancelled_at timestamptz, alert_count integer, active integer, flaps integer,
    gap interval, max_age interval, settle interval, moved_over_m real, geom public.geometry, accuracy_m real,
    placement_id bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
    with followed as materialized (
        select t.incident_id from mobeye.incident_thread t where t.thread = any (threads)
        union all
        select t.incident_id
          from unnest(family_from, family_to) as f (from_thread, to_thread)
          join mobeye.incident_thread t on t.thread between f.from_thread and f.to_thread and t.active
    ), keyed as materialized (
        select k.key, k.from_at, k.until_at, i.incident_id,
               case when i.max_age is null and i.moved_over_m is null then i.first_seen - i.gap else i.last_seen end
               as since
          from unnest(keys, key_from, key_until) as k (key, from_at, until_at)
          left join lateral (select i.* from mobeye.incident i
                              where i.incident_key = k.key and i.accepting limit 1) as i on true
    ), wanted as (
        select incident_id from followed
        union
        select incident_id from keyed where incident_id is not null
        union
        select o.incident_id
          from keyed k
         cross join lateral (select o.incident_id, o.first_seen - o.gap as since, o.last_seen + o.gap as until
                               from mobeye.incident o
                              where o.incident_key = k.key
                              order by o.incident_id desc limit 64) as o
         where (k.incident_id is null or k.from_at < k.since) and o.since <= k.until_at and o.until >= k.from_at
    )
    select i.incident_id, i.incident_key,
           i.accepting::integer + (i.status = 'closed')::integer * 2 + i.closed_by_person::integer * 4
           + i.urgent::integer * 8 + (i.verified_by is not null)::integer * 16 + i.drill::integer * 32
           + (i.category = 'service')::integer * 64 + (i.verify_within is not null)::integer * 128
           + case i.location_source when 'message' then 256 when 'placement' then 512 when 'last_known' then 768
             else 0 end,
           i.priority, i.verify_priority, i.kind, i.device_id, i.first_seen, i.last_seen, i.last_received_at,
           i.closed_at, i.restored_at, i.cancelled_at, i.alert_count, i.active, i.flaps, i.gap, i.max_age, i.settle,
           i.moved_over_m, i.geom, i.accuracy_m, i.placement_id
      from mobeye.incident i
     where i.incident_id in (select w.incident_id from wanted w)
     order by i.incident_id
       for update of i;

    return query
    select t.incident_id, t.thread, t.active::integer, null::smallint, null::smallint, null::text, null::text,
           t.since, null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz,
           null::timestamptz, null::integer, null::integer, null::integer, null::interval, null::interval,
           null::interval, null::real, null::public.geometry, null::real, null::bigint
      from (select t.incident_id, t.thread, t.active, t.since from mobeye.incident_thread t where t.thread = any (threads)
            union
            select t.incident_id, t.thread, t.active, t.since
              from unnest(family_from, family_to) as f (from_thread, to_thread)
              join mobeye.incident_thread t on t.thread between f.from_thread and f.to_thread and t.active) as t;
end
$$;
comment on function mobeye.read_incidents(uuid[], uuid[], uuid[], uuid[], timestamptz[], timestamptz[]) is
    'Locks and returns the incidents and threads that alerts may join.';

create or replace function mobeye.team_of(placement_id bigint, areas text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select p.team from mobeye.placement p where p.placement_id = team_of.placement_id),
        (select t.team
           from unnest(string_to_array(areas, e'\x1f')) with ordinality as a (name, place)
           join mobeye.team_area t on t.layer = split_part(a.name, ':', 1)
                                  and t.code = substr(a.name, strpos(a.name, ':') + 1)
          order by a.place, t.team limit 1))
$$;
comment on function mobeye.team_of(bigint, text) is
    'Whose an incident is where its rule does not say: the placement''s team, else that of the first of its areas.';

-- Nothing of these service incidents is active any more. They are locked.
create or replace function mobeye.close_restored(incidents bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.incident_history (incident_id, actor, action, from_status, to_status, outcome)
    select i.incident_id, 'mobeyed', 'status', i.status, 'closed', 'restored'
      from mobeye.incident i
     where i.incident_id = any (incidents) and i.category = 'service' and i.status <> 'closed'
     order by i.incident_id;
    update mobeye.incident i
       set status = 'closed', accepting = false, closed_at = now(), closed_by_person = false, outcome = 'restored'
     where i.incident_id = any (incidents) and i.category = 'service' and i.status <> 'closed';
end
$$;
comment on function mobeye.close_restored(bigint[]) is 'Closes service incidents, as restored, by the system.';

-- What became of the incidents that read_incidents() returned (old_...), the new ones (new_...), and the threads of
-- both (thread_...: incident_id, or minus the number of a new one, from 1). Returns the ids of the new ones in their
-- order, which is that of their keys: two daemons then never wait for each other in a circle.
-- marks: 1 accepting, 2 urgent, 4 verified by the equipment's own word, 8 nothing of a service incident is active any
-- more, 16 a drill, 32 category service, 64 its secret placements are of several teams. old_secret and new_secret: the
-- first placement among them, null: no alert of this batch came from a secret place. A geom that is null, with its accuracy, source and areas, stays as it is.
-- areas are 'layer:code', with U+001F between them. A thread that is fresh was not there when it was read: where it is
-- by now, another daemon has made it, and that is a unique violation, as for a key that accepts.
create or replace function mobeye.store_incidents(
    rules uuid,
    old_id bigint[], old_marks integer[], old_priority integer[],
    old_first timestamptz[], old_last timestamptz[], old_received timestamptz[], old_restored timestamptz[],
    old_cancelled timestamptz[], old_alerts integer[], old_active integer[], old_flaps integer[],
    old_geom bytea[], old_accuracy real[], old_source text[], old_areas text[], old_placement bigint[],
    old_secret bigint[],
    new_key uuid[], new_marks integer[], new_priority integer[],
    new_first timestamptz[], new_last timestamptz[], new_received timestamptz[], new_restored timestamptz[],
    new_cancelled timestamptz[], new_alerts integer[], new_active integer[], new_flaps integer[],
    new_geom bytea[], new_accuracy real[], new_source text[], new_areas text[], new_placement bigint[],
    new_secret bigint[],
    new_kind text[], new_device text[], new_rule text[], new_team text[],
    new_gap interval[], new_max_age interval[], new_settle interval[], new_overdue interval[], new_moved_over real[],
    new_verify_within interval[], new_verify_radius real[], new_verify_priority integer[], new_previous bigint[],
    thread_id uuid[], thread_incident bigint[], thread_active boolean[], thread_since timestamptz[],
    thread_device text[], thread_input integer[], thread_fresh boolean[])
returns bigint[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    new_id bigint[];
    restored bigint[];
    verified bigint[];
begin
    if cardinality(old_id) > 0 then
        update mobeye.incident i
           set accepting = n.marks & 1 > 0 and i.status <> 'closed', urgent = n.marks & 2 > 0, priority = n.priority,
               verified_by = coalesce(i.verified_by, case when n.marks & 4 > 0 then 'second_input' end),
               stored_at = now(), first_seen = n.first_seen, last_seen = n.last_seen,
               last_received_at = n.last_received_at, restored_at = n.restored_at, cancelled_at = n.cancelled_at,
               alert_count = n.alert_count, active = n.active, flaps = n.flaps,
               geom = case when n.geom is null then i.geom else public.st_geomfromewkb(n.geom) end,
               accuracy_m = case when n.geom is null then i.accuracy_m else n.accuracy_m end,
               location_source = case when n.geom is null then i.location_source else n.location_source end,
               areas = case when n.geom is null or n.areas is null then i.areas
                       else string_to_array(n.areas, e'\x1f') end,
               placement_id = coalesce(n.placement_id, i.placement_id),
               secret = i.secret or n.secret_placement_id is not null,
               secret_team = case
                   when n.secret_placement_id is null then i.secret_team
                   when n.marks & 64 = 0 then (select p.team from mobeye.placement p
                                                where p.placement_id = n.secret_placement_id
                                                  and (not i.secret or p.team = i.secret_team)) end,
               cell = case when n.secret_placement_id is null or i.secret then i.cell
                           else (select p.cell from mobeye.placement p
                                  where p.placement_id = n.secret_placement_id) end
          from unnest(old_id, old_marks, old_priority, old_first, old_last, old_received, old_restored, old_cancelled,
                      old_alerts, old_active, old_flaps, old_geom, old_accuracy, old_source, old_areas, old_placement,
                      old_secret)
               as n (incident_id, marks, priority, first_seen, last_seen, last_received_at, restored_at, cancelled_at,
                     alert_count, active, flaps, geom, accuracy_m, location_source, areas, placement_id,
                     secret_placement_id)
         where i.incident_id = n.incident_id;
    end if;

    if cardinality(new_key) > 0 then
        new_id := array(select nextval('mobeye.incident_id') from generate_series(1, cardinality(new_key)));
        insert into mobeye.incident (
            incident_id, incident_key, accepting, urgent, drill, category, verified_by, priority, first_seen,
            last_seen, last_received_at, restored_at, cancelled_at, alert_count, active, flaps, geom, accuracy_m,
            location_source, areas, placement_id, kind, device_id, rule, rules, team, gap, max_age, settle, overdue,
            moved_over_m, verify_within, verify_radius_m, verify_priority, previous_id, delayed, secret, secret_team,
            cell)
        select n.incident_id, n.incident_key, n.marks & 1 > 0, n.marks & 2 > 0, n.marks & 16 > 0,
               case when n.marks & 32 > 0 then 'service' else 'alarm' end,
               case when n.marks & 4 > 0 then 'second_input' end, n.priority, n.first_seen, n.last_seen,
               n.last_received_at, n.restored_at, n.cancelled_at, n.alert_count, n.active, n.flaps,
               public.st_geomfromewkb(n.geom), n.accuracy_m, n.location_source,
               coalesce(string_to_array(n.areas, e'\x1f'), '{}'), n.placement_id, n.kind, n.device_id, n.rule,
               store_incidents.rules,
               coalesce((select t.team from mobeye.team t where t.team = n.team),
                        case when n.placement_id is not null or n.areas is not null
                             then mobeye.team_of(n.placement_id, n.areas) end),
               n.gap, n.max_age, n.settle, n.overdue, n.moved_over_m, n.verify_within, n.verify_radius_m,
               n.verify_priority, n.previous_id, now() > n.first_seen + interval '5 minutes',
               n.secret_placement_id is not null,
               case when n.secret_placement_id is not null and n.marks & 64 = 0
                    then (select p.team from mobeye.placement p where p.placement_id = n.secret_placement_id) end,
               case when n.secret_placement_id is not null
                    then (select p.cell from mobeye.placement p where p.placement_id = n.secret_placement_id) end
          from unnest(new_id, new_key, new_marks, new_priority, new_first, new_last, new_received, new_restored,
                      new_cancelled, new_alerts, new_active, new_flaps, new_geom, new_accuracy, new_source, new_areas,
                      new_placement, new_secret, new_kind, new_device, new_rule, new_team, new_gap, new_max_age, new_settle,
                      new_overdue, new_moved_over, new_verify_within, new_verify_radius, new_verify_priority,
                      new_previous)
               as n (incident_id, incident_key, marks, priority, first_seen, last_seen, last_received_at, restored_at,
                     cancelled_at, alert_count, active, flaps, geom, accuracy_m, location_source, areas, placement_id,
                     secret_placement_id, kind, device_id, rule, team, gap, max_age, settle, overdue, moved_over_m, verify_within,
                     verify_radius_m, verify_priority, previous_id);
    end if;

    if cardinality(thread_id) > 0 then
        insert into mobeye.incident_thread as t (thread, incident_id, active, since, device_id, input)
        select n.thread, case when n.incident_id < 0 then new_id[-n.incident_id] else n.incident_id end, n.active,
               n.since, n.device_id, n.input
          from unnest(thread_id, thread_incident, thread_active, thread_since, thread_device, thread_input,
                      thread_fresh)
               as n (thread, incident_id, active, since, device_id, input, fresh)
         where n.fresh;
        insert into mobeye.incident_thread as t (thread, incident_id, active, since, device_id, input)
        select n.thread, case when n.incident_id < 0 then new_id[-n.incident_id] else n.incident_id end, n.active,
               n.since, n.device_id, n.input
          from unnest(thread_id, thread_incident, thread_active, thread_since, thread_device, thread_input,
                      thread_fresh)
               as n (thread, incident_id, active, since, device_id, input, fresh)
         where not n.fresh
            on conflict (thread) do update
           set incident_id = excluded.incident_id, active = excluded.active, since = excluded.since;
    end if;

    restored := array(select n.id from unnest(old_id || new_id, old_marks || new_marks) as n (id, marks)
                       where n.marks & 8 > 0);
    if cardinality(restored) > 0 then
        perform mobeye.close_restored(restored);
    end if;
    verified := array(select n.id from unnest(old_id || new_id, old_marks || new_marks) as n (id, marks)
                       where n.marks & 4 > 0);
    if cardinality(verified) > 0 then
        insert into mobeye.incident_history (incident_id, actor, action, note)
        select v.id, 'mobeyed', 'verified', 'second_input' from unnest(verified) as v (id);
    end if;
    return coalesce(new_id, '{}');
end
$$;
comment on function mobeye.store_incidents is
    'Stores what alerts made of incidents; returns the ids of the new ones.';

do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc p
         where p.pronamespace = 'mobeye'::regnamespace
           and p.proname in ('read_incidents', 'store_incidents', 'add_changes', 'number_changes')
    loop
        execute format('grant execute on function %s to mobeye_ingest', one);
    end loop;
end
$$;
