-- What happened to an incident: its changes (patrol.changes), its history (patrol.incident_history), and closing it.

create or replace function mobeye.number_changes() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    unnumbered bigint[];
    last bigint;
begin
    if not exists (select from mobeye.change c where c.change_id is null) then
        return 0;
    end if;
    -- The counter is locked before the changes are read: a change that became visible earlier gets the lower number.
    perform from mobeye.counter where name = 'changes' for update;
    unnumbered := array(select c.entry from mobeye.change c where c.change_id is null order by c.entry limit 10000);
    update mobeye.counter set value = value + cardinality(unnumbered) where name = 'changes' returning value into last;
    update mobeye.change c set change_id = last - cardinality(unnumbered) + n.place
      from unnest(unnumbered) with ordinality as n (entry, place)
     where c.entry = n.entry;
    return cardinality(unnumbered);
end
$$;
comment on function mobeye.number_changes() is
    'Numbers the committed changes that have no number yet, at most 10,000; returns how many. Changes by people are '
    'numbered in a short transaction of their own, because a transaction that holds the counter delays storing. The '
    'daemon calls it every second and with each batch.';

create or replace function patrol.number_changes() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    perform mobeye.limit_idle();
    return mobeye.number_changes();
exception when lock_not_available then
    return 0; -- another session is numbering them
end
$$;
comment on function patrol.number_changes() is
    'For readers of patrol.changes: numbers what people have changed since, if no daemon is running to do it every second. '
    'Call it in a transaction of its own, because storing waits until that commits.';

create or replace function patrol.last_change() returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select c.value from mobeye.counter c where c.name = 'changes' $$;
comment on function patrol.last_change() is
    'The last change_id given out, whoever sees it. A reader of patrol.changes that is beyond it has outlived the '
    'database, which was restored to an earlier time.';

create or replace function mobeye.add_changes(incidents bigint[], ops text[], urgent boolean[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- One plan, whatever the statistics say: a few index look-ups per incident of the batch.
set enable_seqscan = off -- the table of incidents is empty on the first day and large soon after
set enable_hashjoin = off -- would read all of it
set enable_mergejoin = off -- likewise
set enable_material = off -- likewise, for a nested loop
set enable_bitmapscan = off -- each look-up returns one row
set max_parallel_workers_per_gather = 0 -- starting a worker takes longer than the statement
set jit = off -- compiling takes longer than the statement
set plan_cache_mode = force_generic_plan -- planning for each batch takes longer than the statement
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
    'Adds the changes of a batch under the next numbers (urgent: a panic or holdup joined). It is the last statement before '
    'the commit, because it keeps the counter locked.';

create or replace function mobeye.notify_incidents(incidents bigint[], ops text[]) returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    -- QGIS has its own channel, and redraws its map; not for each alert that joins.
    select pg_notify('qgis', 'mobeye_incident') where pg_notification_queue_usage() < 0.5 and not ops <@ '{alert}';
    select count(pg_notify('mobeye_incident', hint.text))
      from (select json_build_object('incident_id', i.incident_id, 'op', n.op, 'priority', i.priority,
                                     'category', i.category)::text
              from unnest(incidents, ops) with ordinality as n (incident_id, op, place)
              join mobeye.incident i on i.incident_id = n.incident_id
             -- A listener that hangs fills the queue, and a full queue would fail the commit.
             where pg_notification_queue_usage() < 0.5
             order by n.place) as hint (text)
$$;
comment on function mobeye.notify_incidents(bigint[], text[]) is
    'Sends a hint to the listeners of mobeye_incident for each change, unless the queue of notifications is half full; '
    'returns how many it sent. patrol.changes is the truth.';

create or replace function mobeye.add_change(incident_id bigint, op text, before mobeye.incident default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
    moved boolean;
begin
    select * into strict i from mobeye.incident t where t.incident_id = add_change.incident_id;
    moved := before.incident_id is not null and (before.team, before.assigned_to) is distinct from (i.team, i.assigned_to);
    insert into mobeye.change (at, incident_id, op, status, priority, category, moved, team_before, areas_before, assigned_before)
    values (clock_timestamp(), i.incident_id, add_change.op, i.status, i.priority, i.category,
            moved, before.team, case when moved and before.team is null then before.areas end, before.assigned_to);
    perform mobeye.notify_incidents(array[i.incident_id], array[add_change.op]);
end
$$;
comment on function mobeye.add_change(bigint, text, mobeye.incident) is
    'Adds a change, which is numbered after the commit, and notifies listeners. If "before" is given, the change is also '
    'shown to those who could see the incident as it was then.';

-- In a batch this is in addition to the change that the daemon adds, which does not know the earlier areas.
create or replace function mobeye.change_areas() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.areas = '{}' then -- its place was erased, including where it was before; no team loses sight of it
        update mobeye.change c set areas_before = null where c.incident_id = new.incident_id and c.areas_before is not null;
    else
        insert into mobeye.change (at, incident_id, op, status, priority, category, moved, areas_before, assigned_before)
        values (clock_timestamp(), new.incident_id, 'alert', new.status, new.priority, new.category, true, old.areas, old.assigned_to);
    end if;
    return null;
end
$$;
comment on function mobeye.change_areas() is
    'Adds a change where an incident without a team turns out to lie in other areas: a team may see it no longer.';

create or replace trigger change_areas after update of areas on mobeye.incident
    for each row when (old.team is null and new.team is null and old.areas is distinct from new.areas)
    execute function mobeye.change_areas();

create or replace function mobeye.keep_areas() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    update mobeye.incident i
       set areas_throughout = array(select unnest(coalesce(old.areas_throughout, old.areas)) intersect select unnest(new.areas))
     where i.incident_id = new.incident_id;
    return null;
end
$$;
comment on function mobeye.keep_areas() is 'Keeps in which of its areas an incident has lain since it began.';

-- AFTER, since a BEFORE trigger would cost each alert that joins a third more, whether the areas change or not.
create or replace trigger keep_areas after update of areas on mobeye.incident
    for each row when (old.areas is distinct from new.areas)
    execute function mobeye.keep_areas();

create or replace function mobeye.add_history(
    incident_id bigint, action text, note text default null, from_status text default null,
    to_status text default null, outcome text default null, assigned_to text default null,
    actor text default null, image_id uuid default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    by_viewer boolean := actor is null;
    via text := case when by_viewer then (mobeye.current_viewer()).via end;
    last_change bigint;
begin
    if by_viewer then
        last_change := (select max(c.entry) from mobeye.change c where c.incident_id = add_history.incident_id);
    end if;
    insert into mobeye.incident_history
           (incident_id, at, actor, via, action, from_status, to_status, outcome, assigned_to, note, last_change, image_id)
    values (incident_id, clock_timestamp(), coalesce(actor, mobeye.actor()), via, action, from_status, to_status,
            outcome, assigned_to, note, last_change, image_id);
end
$$;
comment on function mobeye.add_history(bigint, text, text, text, text, text, text, text, uuid) is
    'Adds an entry to the history of an incident. The actor is the current viewer unless given: mobeyed for the system.';

create or replace function mobeye.close_incident(
    incident_id bigint, outcome text, restored_at timestamptz default null, merged_into bigint default null,
    add_change boolean default true) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    before text;
begin
    select i.status into before from mobeye.incident i where i.incident_id = close_incident.incident_id for update;
    if before is null or before = 'closed' then
        return;
    end if;
    update mobeye.incident i
       set status = 'closed', accepting = false, closed_at = clock_timestamp(), closed_by_person = false,
           outcome = close_incident.outcome, merged_into = close_incident.merged_into,
           restored_at = coalesce(i.restored_at, close_incident.restored_at),
           active = case when close_incident.outcome = 'restored' then 0 else i.active end
     where i.incident_id = close_incident.incident_id;
    perform mobeye.end_mutes_of(array[close_incident.incident_id], array[clock_timestamp()]);
    perform mobeye.add_history(close_incident.incident_id, 'status', from_status => before, to_status => 'closed',
                               outcome => close_incident.outcome, actor => 'mobeyed');
    if close_incident.add_change then
        perform mobeye.add_change(close_incident.incident_id, 'status');
    end if;
end
$$;
comment on function mobeye.close_incident(bigint, text, timestamptz, bigint, boolean) is
    'Closes an open incident on behalf of the system: restored, merged or unattended. For people: patrol.close(). '
    'add_change is false in a batch, whose changes the daemon adds itself.';
