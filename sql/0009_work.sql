-- How people work: from acknowledging an incident to closing it.
-- By hand, backwards: drop the functions below.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- What they have in common

create or replace function mobeye.actor() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from mobeye.front_end f where f.login = session_user)
       and nullif(current_setting('mobeye.acting_as', true), '') is null
       and (mobeye.viewer()).via is null then
        raise exception 'the front end "%" does not say for whom it acts', session_user
            using errcode = 'invalid_authorization_specification',
                  hint = 'Set mobeye.acting_as to the person''s login before.';
    end if;
    return (mobeye.viewer()).login;
end
$$;
comment on function mobeye.actor() is 'The person to record; refuses a front end that does not say for whom it acts.';

create or replace function mobeye.note_change(incident_id bigint, op text, before mobeye.incident default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
begin
    select * into strict i from mobeye.incident t where t.incident_id = note_change.incident_id;
    insert into mobeye.change (at, incident_id, op, status, priority, category, moved, team_before, assigned_before)
    values (clock_timestamp(), i.incident_id, note_change.op, i.status, i.priority, i.category,
            before.incident_id is not null
            and (before.team, before.assigned_to) is distinct from (i.team, i.assigned_to),
            before.team, before.assigned_to);
    -- A full queue of notifications would fail the commit, and they are hints only.
    if pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('mobeye_incident',
                          json_build_object('incident_id', i.incident_id, 'op', note_change.op, 'priority', i.priority,
                                            'category', i.category)::text);
    end if;
end
$$;
comment on function mobeye.note_change(bigint, text, mobeye.incident) is
    'Adds to patrol.changes, and notifies the listeners of mobeye_incident. Those who saw the incident as it was before are '
    'told too.';

create or replace function mobeye.remember(
    incident_id bigint, action text, note text default null, from_status text default null,
    to_status text default null, outcome text default null, assigned_to text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.incident_history
           (incident_id, at, actor, via, action, from_status, to_status, outcome, assigned_to, note, last_change)
    values (incident_id, clock_timestamp(), mobeye.actor(), (mobeye.viewer()).via, action, from_status, to_status,
            outcome, assigned_to, note,
            (select max(c.entry) from mobeye.change c where c.incident_id = remember.incident_id));
end
$$;
comment on function mobeye.remember(bigint, text, text, text, text, text, text) is
    'Adds what the person does to the history of an incident.';

create or replace function mobeye.reference(incident_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select f.reference from mobeye.incident_full f where f.incident_id = reference.incident_id),
                    reference.incident_id::text)
$$;
comment on function mobeye.reference(bigint) is 'What an incident is called in messages.';

-- A front end that hangs with an incident locked would hold up everybody, the daemon too: such a transaction ends after
-- 10 s.
create or replace function mobeye.lock_incident(id bigint, expected_status text default null) returns mobeye.incident
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    patience interval := current_setting('idle_in_transaction_session_timeout')::interval;
    v mobeye.who := mobeye.viewer();
    i mobeye.incident;
begin
    perform mobeye.actor();
    if expected_status not in (select from_status from mobeye.transition) then
        raise exception 'there is no status "%" to expect', expected_status
            using errcode = 'invalid_parameter_value',
                  hint = 'A status is new, acknowledged, assigned, on_scene, closed or reopened.';
    end if;
    if patience not between '1 ms' and '10 s' then
        perform set_config('idle_in_transaction_session_timeout', '10s', true);
    end if;
    select * into i from mobeye.incident t where t.incident_id = id for update;
    if i.incident_id is null or not mobeye.in_sight(i.team, i.areas, i.assigned_to, v) then
        raise exception 'there is no incident %, or it is another team''s', coalesce(id::text, 'without a number')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists those that you see.';
    end if;
    if i.status <> expected_status then
        raise exception 'incident % is %, not %', mobeye.reference(id), i.status, expected_status
            using errcode = 'MB001', detail = i.status,
                  hint = 'Somebody changed it meanwhile: look again before you go on.';
    end if;
    return i;
end
$$;
comment on function mobeye.lock_incident(bigint, text) is
    'Locks an incident that the person sees; refuses where its status is not the expected one (SQLSTATE MB001).';

-- A screen that is older than a panic, a holdup or a verification closes nothing: it shows less than there is.
create or replace function mobeye.check_current(i mobeye.incident, expected_change bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known bigint; -- entry of the last change that the person knows of, where no change_id says so
    later record;
begin
    if (mobeye.viewer()).everything then
        return;
    end if;
    if expected_change is null then
        select h.last_change into known from mobeye.incident_history h
         where h.incident_id = i.incident_id and h.actor = mobeye.actor()
         order by h.entry desc limit 1;
        known := coalesce(known, (select min(c.entry) from mobeye.change c where c.incident_id = i.incident_id), 0);
    end if;
    select c.op, c.at into later from mobeye.change c
     where c.incident_id = i.incident_id and (c.urgent or c.op = 'verified')
       and case when expected_change is null then c.entry > known
                else coalesce(c.change_id > expected_change, true) end
     order by c.entry desc limit 1;
    if found then
        raise exception 'incident % is not what you saw: %', mobeye.reference(i.incident_id),
            case later.op when 'verified' then 'it has been verified' else 'a panic or holdup alarm has joined it' end
            using errcode = 'MB001', detail = i.status,
                  hint = 'Look at it again, then close it: with the change_id up to which you have read patrol.changes '
                         'as expected_change, or after an entry of your own (patrol.note, patrol.acknowledge).';
    end if;
end
$$;
comment on function mobeye.check_current(mobeye.incident, bigint) is
    'Refuses (SQLSTATE MB001) where a panic or holdup joined the incident, or it was verified, after expected_change; '
    'where that is null after the person''s own latest entry in its history, else after its first alert.';

create or replace function mobeye.step(
    id bigint, action text, expected_status text, expected_change bigint, note text default null,
    outcome text default null, officer text default null, team text default null) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id, expected_status);
    target text := (select t.to_status from mobeye.transition t where t.action = step.action and t.from_status = i.status);
    possible text := (select string_agg(t.action, ', ' order by t.action) from mobeye.transition t
                       where t.from_status = i.status);
    at timestamptz := clock_timestamp();
    whose text := coalesce((select p.team from mobeye.person p where p.login = officer), (mobeye.viewer()).team);
begin
    if action = 'close' and target is not null then
        perform mobeye.check_current(i, expected_change);
    end if;
    if target is null or action = 'assign' and i.status = target and i.assigned_to = officer then
        raise exception 'incident % is %, so % is not possible', mobeye.reference(id),
            concat_ws(' to ', i.status, case when i.status = 'assigned' then i.assigned_to end), action
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = format('Possible now: %s%s.', possible,
                                case when i.status = 'assigned' then ' (to another)' else '' end);
    end if;
    update mobeye.incident t
       set status = target,
           accepting = t.accepting and target <> 'closed',
           assigned_to = case action when 'assign' then officer when 'release' then null when 'reopen' then null
                                     when 'on_scene' then coalesce(t.assigned_to, mobeye.actor()) else t.assigned_to end,
           team = case when step.team is not null then step.team
                       when action in ('assign', 'on_scene') then coalesce(t.team, whose) else t.team end,
           acknowledged_at = case target when 'reopened' then null when 'closed' then t.acknowledged_at
                                         else coalesce(t.acknowledged_at, at) end,
           on_scene_at = case target when 'on_scene' then at when 'closed' then t.on_scene_at end,
           closed_at = case target when 'closed' then at end,
           closed_by_person = target = 'closed',
           outcome = step.outcome,
           overdue_since = null,
           merged_into = null
     where t.incident_id = id;
    perform mobeye.note_change(id, 'status', i);
    perform mobeye.remember(id, 'status', note, i.status, target, outcome,
                            case action when 'assign' then officer end);
    return target;
end
$$;
comment on function mobeye.step(bigint, text, text, bigint, text, text, text, text) is
    'Takes an incident along a transition of mobeye.transition, writes history and changes; returns the new status.';

create or replace function mobeye.given(what text, value text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if value is null or value !~ '\S' or length(value) > 4000 then
        raise exception '% is missing or too long', what
            using errcode = 'invalid_parameter_value', hint = 'It takes 1 to 4000 characters that say something.';
    end if;
    return value;
end
$$;
comment on function mobeye.given(text, text) is 'The text, where it is one; refuses an empty one.';

-- ---------------------------------------------------------------------------------------------------------------------
-- From new to closed

create or replace function patrol.acknowledge(
    id bigint, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'acknowledge', expected_status, expected_change) $$;
comment on function patrol.acknowledge(bigint, text, bigint) is
    'A person has seen a new or reopened incident. Returns the new status, as all that change one; expected_status, '
    'where given, refuses (SQLSTATE MB001) an incident that has another. What expected_change is for: patrol.close().';

create or replace function patrol.assign(
    id bigint, officer text, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'assign', expected_status, expected_change, officer => mobeye.given('the officer', officer)) $$;
comment on function patrol.assign(bigint, text, text, bigint) is
    'Gives an open incident to an officer (login or call sign); one without a team becomes that of the officer.';

create or replace function patrol.release(
    id bigint, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'release', expected_status, expected_change) $$;
comment on function patrol.release(bigint, text, bigint) is 'Gives an assigned incident back: it is acknowledged again.';

create or replace function patrol.on_scene(
    id bigint, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'on_scene', expected_status, expected_change) $$;
comment on function patrol.on_scene(bigint, text, bigint) is
    'Somebody has arrived. One that was assigned to nobody is assigned to who says so.';

create or replace function patrol.close(
    id bigint, outcome text, note text default null, expected_status text default null,
    expected_change bigint default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (outcome in ('confirmed', 'false_alarm', 'technical', 'no_trace', 'drill')) is not true then
        raise exception '"%" is no outcome that people give', outcome
            using errcode = 'invalid_parameter_value',
                  hint = 'Outcomes are confirmed, false_alarm, technical, no_trace and drill.';
    end if;
    if note is not null then
        perform mobeye.given('the note', note);
    end if;
    return mobeye.step(id, 'close', expected_status, expected_change, note, outcome);
end
$$;
comment on function patrol.close(bigint, text, text, text, bigint) is
    'Closes an incident as confirmed, false_alarm, technical, no_trace or drill. Later alerts of its cause make a new '
    'one, except within settle of its rule. Refused (SQLSTATE MB001) where a panic or holdup joined it, or it was '
    'verified, after expected_change, the change_id up to which the screen is current; without that, after the caller''s '
    'latest entry in its history, else after its first alert. The owner may.';

create or replace function patrol.reopen(
    id bigint, note text, expected_status text default null, expected_change bigint default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    status text := mobeye.step(id, 'reopen', expected_status, expected_change, mobeye.given('the note that says why', note));
begin
    -- A daemon may make the accepting one of this key at the same moment: then that one accepts.
    begin
        update mobeye.incident i set accepting = true
         where i.incident_id = id
           and not exists (select from mobeye.incident o where o.incident_key = i.incident_key and o.accepting);
    exception when unique_violation then
        null;
    end;
    return status;
end
$$;
comment on function patrol.reopen(bigint, text, text, bigint) is
    'Opens a closed incident again, as new. It takes alerts again unless another of its cause does by now.';

create or replace function patrol.verify(
    id bigint, how text, expected_status text default null, expected_change bigint default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
begin
    if how is distinct from 'person' then
        raise exception 'people verify an incident as person, not as "%"', how
            using errcode = 'invalid_parameter_value',
                  hint = 'second_device and second_input are what devices reported, and the system finds them.';
    end if;
    i := mobeye.lock_incident(id, expected_status);
    if i.status = 'closed' then
        raise exception 'incident % is closed, so it cannot be verified', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status, hint = 'Reopen it before.';
    end if;
    update mobeye.incident t
       set verified_by = how, priority = least(t.priority, t.verify_priority)
     where t.incident_id = id;
    perform mobeye.note_change(id, 'verified');
    perform mobeye.remember(id, 'verified', how);
    return how;
end
$$;
comment on function patrol.verify(bigint, text, text, bigint) is
    'A person (how: person) has seen or heard that an open incident is real: it goes before others of its priority, and '
    'gets the priority of its rule''s verify_by.';

create or replace function patrol.note(
    id bigint, text text, expected_status text default null, expected_change bigint default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_incident(id, expected_status);
    perform mobeye.note_change(id, 'note');
    perform mobeye.remember(id, 'note', mobeye.given('the note', text));
end
$$;
comment on function patrol.note(bigint, text, text, bigint) is 'Adds a note to the history of an incident, whatever its status.';

create or replace function patrol.link(
    id bigint, system text, ref text, expected_status text default null, expected_change bigint default null)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_incident(id, expected_status);
    update mobeye.incident t
       set external_system = mobeye.given('the system', system), external_ref = mobeye.given('the number', ref)
     where t.incident_id = id;
    perform mobeye.note_change(id, 'link');
    perform mobeye.remember(id, 'link', system || ' ' || ref);
end
$$;
comment on function patrol.link(bigint, text, text, text, bigint) is
    'Says under which number another system knows an incident; replaces what was linked before, which stays in the history.';

create or replace function patrol.claim_next(team text, officer text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_sort = off -- the first few in the order of incident_open, however many are open
set enable_bitmapscan = off
as $$
declare
    v mobeye.who := mobeye.viewer();
    theirs mobeye.who;
    patience_usual text := current_setting('lock_timeout');
    patience text;
    passed_over boolean := false; -- one that was locked
    next bigint;
    ours bigint;
begin
    perform mobeye.actor(), mobeye.given('the team', team), mobeye.given('the officer', officer);
    if not v.all_rows and v.team is distinct from claim_next.team then
        raise exception 'you are of team "%", and take nothing for "%"', coalesce(v.team, ''), claim_next.team
            using errcode = 'insufficient_privilege', hint = 'Take the next one of your own team.';
    end if;
    if not exists (select from mobeye.team t where t.team = claim_next.team) and exists (select from mobeye.team) then
        raise exception 'there is no team "%"', claim_next.team
            using errcode = 'invalid_parameter_value',
                  hint = 'Teams: ' || (select string_agg(t.team, ', ' order by t.team) from mobeye.team t) || '.';
    end if;
    theirs.team := claim_next.team;
    theirs.all_rows := false;
    theirs.areas := array(select a.layer || ':' || a.code from mobeye.team_area a where a.team = claim_next.team);
    theirs.team_areas := array(select a.layer || ':' || a.code from mobeye.team_area a);
    -- Alerts that join an incident lock it for a moment: the first that is locked is waited for a little, or a less urgent
    -- one would be taken. Others that are locked, by officers, are passed over; where nothing else is left, they are
    -- waited for.
    foreach patience in array array['a little', 'wait'] loop
        for next in
            select o.incident_id from (
                   select i.incident_id, i.team, i.areas, i.assigned_to from mobeye.incident i
                    where i.status <> 'closed' and i.category = 'alarm' and i.status in ('new', 'acknowledged', 'reopened')
                    order by i.delayed, i.priority, i.verified_by is null, i.first_seen, i.incident_id
                   offset 0) as o -- the rest is asked of one after the other, until one is free
             where (o.team = claim_next.team or o.team is null and mobeye.in_sight(o.team, o.areas, o.assigned_to, theirs))
               and mobeye.in_sight(o.team, o.areas, o.assigned_to, v)
               and (select f.muted_until is null and (f.restored_at is null or not mobeye.restored_in_mute(f.incident_id))
                      from mobeye.incident_full f where f.incident_id = o.incident_id)
        loop
            -- The lock of one that turns out to be somebody's goes again with the block: who waits for one incident holds
            -- no other, or two officers would wait for each other.
            begin
                ours := null;
                if patience = 'skip' then
                    perform from mobeye.incident i where i.incident_id = next for update skip locked;
                    passed_over := passed_over or not found;
                else
                    perform set_config('lock_timeout', case patience when 'a little' then '200ms' else patience_usual end,
                                       true);
                    perform from mobeye.incident i where i.incident_id = next for update;
                    perform set_config('lock_timeout', patience_usual, true);
                end if;
                if found then
                    select i.incident_id into ours from mobeye.incident i
                     where i.incident_id = next and i.status in ('new', 'acknowledged', 'reopened')
                       and mobeye.in_sight(i.team, i.areas, i.assigned_to, theirs);
                end if;
                if ours is null then
                    raise exception using errcode = 'MB002', message = 'not free';
                end if;
            exception
                when sqlstate 'MB002' then
                    continue;
                when lock_not_available then
                    if patience = 'wait' then
                        raise;
                    end if;
                    patience := 'skip';
                    passed_over := true;
                    continue;
            end;
            perform mobeye.step(ours, 'assign', null, null, officer => officer,
                                team => (select t.team from mobeye.team t where t.team = claim_next.team));
            return ours;
        end loop;
        exit when not passed_over;
    end loop;
    return null;
end
$$;
comment on function patrol.claim_next(text, text) is
    'Assigns to an officer the first incident of the queue that is nobody''s yet and the team''s, or without a team in its '
    'areas, which it then becomes. Returns its number, null where there is none. No two callers get the same one.';

create or replace function patrol.number_changes() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    return mobeye.number_changes();
exception when lock_not_available then
    return 0; -- somebody numbers them at this moment
end
$$;
comment on function patrol.number_changes() is
    'For readers of patrol.changes: numbers what people have changed since, where no daemon runs that does it each second. '
    'In a transaction of its own, since storing waits until it commits.';
grant execute on function patrol.number_changes() to mobeye_patrol, mobeye_auditor, mobeye_registry;

grant execute on function
    patrol.acknowledge(bigint, text, bigint), patrol.assign(bigint, text, text, bigint), patrol.release(bigint, text, bigint),
    patrol.on_scene(bigint, text, bigint), patrol.close(bigint, text, text, text, bigint), patrol.reopen(bigint, text, text, bigint),
    patrol.verify(bigint, text, text, bigint), patrol.note(bigint, text, text, bigint), patrol.link(bigint, text, text, text, bigint),
    patrol.claim_next(text, text) to mobeye_patrol;
