-- How people work on incidents: from acknowledging one to closing it.

create or replace function mobeye.reference(incident_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select f.reference from mobeye.incident_full f where f.incident_id = reference.incident_id),
                    reference.incident_id::text)
$$;
comment on function mobeye.reference(bigint) is 'The reference of an incident, for messages.';

create or replace function mobeye.lock_incident(id bigint, expected_status text default null) returns mobeye.incident
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.officer_viewer();
    i mobeye.incident;
begin
    perform mobeye.actor();
    if expected_status not in (select from_status from mobeye.transition) then
        raise exception 'expected_status: "%" is not a status', expected_status
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected new, acknowledged, assigned, on_scene, closed or reopened.';
    end if;
    perform mobeye.limit_idle();
    select * into i from mobeye.incident t where t.incident_id = id for update;
    if i.incident_id is null or not mobeye.can_see(i.team, i.areas, i.assigned_to, v) then
        raise exception 'incident % does not exist or belongs to another team', coalesce(id::text, 'null')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists the incidents that you see.';
    end if;
    if i.status <> expected_status then
        raise exception 'incident %: status is % (expected %)', mobeye.reference(id), i.status, expected_status
            using errcode = 'MB001', detail = i.status,
                  hint = 'It has been changed in the meantime: look at it again before you continue.';
    end if;
    return i;
end
$$;
comment on function mobeye.lock_incident(bigint, text) is
    'Locks an incident that the viewer may act on. Refuses (SQLSTATE MB001) if its status is not the expected one.';

-- A screen that predates a panic, a holdup or a verification must not close the incident.
create or replace function mobeye.check_current(i mobeye.incident, expected_change bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known bigint; -- entry of the last change that the person knows, if expected_change does not tell
    later record;
begin
    if (mobeye.current_viewer()).is_owner then
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
        raise exception 'incident % has changed since you last saw it: %', mobeye.reference(i.incident_id),
            case later.op when 'verified' then 'it has been verified' else 'a panic or holdup alarm has joined it' end
            using errcode = 'MB001', detail = i.status, column = 'expected_change',
                  hint = 'Look at it again, then close it: pass the change_id up to which you have read patrol.changes as '
                         'expected_change, or add an entry of your own first (patrol.note, patrol.acknowledge).';
    end if;
end
$$;
comment on function mobeye.check_current(mobeye.incident, bigint) is
    'Refuses (SQLSTATE MB001) if a panic or holdup joined the incident, or it was verified, after expected_change; if that '
    'is null, after the viewer''s own latest entry in its history, else after its first alert.';

create or replace function mobeye.change_status(
    id bigint, action text, expected_status text, expected_change bigint, note text default null,
    outcome text default null, officer text default null, team text default null) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id, expected_status);
    target text := (select t.to_status from mobeye.transition t where t.action = change_status.action and t.from_status = i.status);
    possible text := (select string_agg(t.action, ', ' order by t.action) from mobeye.transition t
                       where t.from_status = i.status);
    at timestamptz := clock_timestamp();
    team_of_officer text := coalesce((select p.team from mobeye.person p where p.login = officer), (mobeye.current_viewer()).team);
begin
    if action = 'close' and target is not null then
        perform mobeye.check_current(i, expected_change);
    end if;
    if target is null or action = 'assign' and i.status = target and i.assigned_to = officer then
        raise exception 'incident %: action % is not possible in status %', mobeye.reference(id), action,
            concat_ws(' to ', i.status, case when i.status = 'assigned' then i.assigned_to end)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = format('Possible now: %s%s.', possible,
                                case when i.status = 'assigned' then ' (assign to another officer)' else '' end);
    end if;
    update mobeye.incident t
       set status = target,
           accepting = t.accepting and target <> 'closed',
           assigned_to = case action when 'assign' then officer when 'release' then null when 'reopen' then null
                                     when 'on_scene' then coalesce(t.assigned_to, mobeye.actor()) else t.assigned_to end,
           team = case when change_status.team is not null then change_status.team
                       when action in ('assign', 'on_scene') then coalesce(t.team, team_of_officer) else t.team end,
           acknowledged_at = case target when 'reopened' then null when 'closed' then t.acknowledged_at
                                         else coalesce(t.acknowledged_at, at) end,
           on_scene_at = case target when 'on_scene' then at when 'closed' then t.on_scene_at end,
           closed_at = case target when 'closed' then at end,
           closed_by_person = target = 'closed',
           outcome = change_status.outcome,
           overdue_since = null,
           overdue_step = 0,
           reopened_at = case action when 'reopen' then at else t.reopened_at end,
           released_at = case action when 'release' then at else t.released_at end,
           merged_into = null
     where t.incident_id = id;
    if target = 'closed' then
        perform mobeye.end_mutes_of(array[id], array[at]);
    end if;
    perform mobeye.add_change(id, 'status', i);
    perform mobeye.add_history(id, 'status', note, i.status, target, outcome,
                            case action when 'assign' then officer end);
    return target;
end
$$;
comment on function mobeye.change_status(bigint, text, text, bigint, text, text, text, text) is
    'Moves an incident along a transition of mobeye.transition, with history and change; returns the new status.';

create or replace function mobeye.require_text(what text, value text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if value is null or value !~ '[^[:space:]]' or length(value) > 4000 then
        raise exception '%: is missing or too long', what
            using errcode = 'invalid_parameter_value', hint = 'Expected 1 to 4000 characters, not all blank.';
    end if;
    return value;
end
$$;
comment on function mobeye.require_text(text, text) is 'Returns the text; refuses it if it is missing, blank or too long.';

-- One letter added, left out or replaced, or two exchanged: a typing error. Numbers and single letters distinguish patrols.
create or replace function mobeye.is_slip(typed text, meant text) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    a text := lower(btrim(typed));
    b text := lower(btrim(meant));
begin
    if a = b then
        return true;
    end if;
    if least(length(a), length(b)) < 4 or abs(length(a) - length(b)) > 1
       or coalesce(substring(a, '(?:^|[^[:alpha:]])([[:alpha:]])$'), '')
          <> coalesce(substring(b, '(?:^|[^[:alpha:]])([[:alpha:]])$'), '') then
        return false;
    end if;
    while left(a, 1) = left(b, 1) and a <> '' and b <> '' loop
        a := substr(a, 2);
        b := substr(b, 2);
    end loop;
    while right(a, 1) = right(b, 1) and a <> '' and b <> '' loop
        a := left(a, -1);
        b := left(b, -1);
    end loop;
    return (a || b) !~ '[0-9]' and (length(a) <= 1 and length(b) <= 1 or length(a) = 2 and a = reverse(b));
end
$$;
comment on function mobeye.is_slip(text, text) is
    'Whether a name was probably typed by mistake for another: it differs in case, or by one letter or two exchanged ones. Digits, '
    'names of fewer than 4 characters, and a single letter at the end (wagen b) always count as another name.';

create or replace function mobeye.may_be_given(p mobeye.person) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select (p.all_teams or p.team is not null)
           and coalesce((select pg_has_role(r.oid, 'mobeye_patrol', 'member') or pg_has_role(r.oid, 'mobeye_owner', 'member')
                           from pg_roles r where r.rolname = p.login), true)
$$;
comment on function mobeye.may_be_given(mobeye.person) is
    'Whether a person sees incidents and works them: of a team or of all, and, with a login, a member of mobeye_patrol.';

-- A patrol may have any name, so an unknown one is not refused; but nobody would see that "jnsen" was meant for jansen.
create or replace function mobeye.check_officer(officer text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    p mobeye.person;
    role regrole;
    meant text;
begin
    perform mobeye.require_text('the officer', officer);
    role := to_regrole(quote_ident(officer));
    select * into p from mobeye.person t where t.login = officer;
    if p.login is null then
        select min(t.login) into meant from mobeye.person t where mobeye.is_slip(officer, t.login);
        if meant is not null then
            raise exception 'officer "%" is not a registered person', officer
                using errcode = 'invalid_parameter_value',
                      hint = format('Did you mean %s? If not, use a name that is not so similar.', meant);
        end if;
    elsif not mobeye.may_be_given(p) then
        raise exception 'officer "%" cannot see incidents', officer
            using errcode = 'invalid_parameter_value',
                  hint = case when role is null or pg_has_role(role, 'mobeye_patrol', 'member') then 'This person has no team: mobeyectl people import.'
                              else 'Their login is not a member of mobeye_patrol.' end;
    end if;
    return officer;
end
$$;
comment on function mobeye.check_officer(text) is
    'Returns the officer: the login of a person, or the name of a patrol. Refuses a person who cannot see incidents, and a name '
    'that is probably mistyped for a login (is_slip()).';

create or replace function patrol.acknowledge(
    id bigint, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.change_status(id, 'acknowledge', expected_status, expected_change) $$;
comment on function patrol.acknowledge(bigint, text, bigint) is
    'A person has seen a new or reopened incident. Returns the new status, as all functions that change it do. Refused '
    '(SQLSTATE MB001) if the status is not expected_status. For expected_change see patrol.close().';

create or replace function patrol.assign(
    id bigint, officer text, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.change_status(id, 'assign', expected_status, expected_change, officer => mobeye.check_officer(officer)) $$;
comment on function patrol.assign(bigint, text, text, bigint) is
    'Assigns an open incident to an officer (login or call sign). An incident without a team gets that of the officer. Refused for a '
    'person who cannot see incidents, and for a name that differs from a login by one letter (a mistake in typing).';

create or replace function patrol.release(
    id bigint, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.change_status(id, 'release', expected_status, expected_change) $$;
comment on function patrol.release(bigint, text, bigint) is 'Releases an assigned incident: it is acknowledged again.';

create or replace function patrol.on_scene(
    id bigint, expected_status text default null, expected_change bigint default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.change_status(id, 'on_scene', expected_status, expected_change) $$;
comment on function patrol.on_scene(bigint, text, bigint) is
    'An officer has arrived. An unassigned incident is assigned to the viewer.';

create or replace function patrol.close(
    id bigint, outcome text, note text default null, expected_status text default null,
    expected_change bigint default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (outcome in ('confirmed', 'false_alarm', 'technical', 'no_trace', 'drill')) is not true then
        raise exception 'outcome %', coalesce('"' || outcome || '" is not valid', 'is missing')
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected confirmed, false_alarm, technical, no_trace or drill.';
    end if;
    if note is not null then
        perform mobeye.require_text('the note', note);
    end if;
    return mobeye.change_status(id, 'close', expected_status, expected_change, note, outcome);
end
$$;
comment on function patrol.close(bigint, text, text, text, bigint) is
    'Closes an incident as confirmed, false_alarm, technical, no_trace or drill. Later alerts of the same key create a new '
    'incident, except within settle of its rule. Refused (SQLSTATE MB001) if a panic or holdup joined it, or it was '
    'verified, after expected_change, the change_id up to which the screen is current; without that, after the caller''s '
    'latest entry in its history, else after its first alert. The owner is exempt.';

create or replace function patrol.reopen(
    id bigint, note text, expected_status text default null, expected_change bigint default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    status text := mobeye.change_status(id, 'reopen', expected_status, expected_change, mobeye.require_text('the note', note));
begin
    -- A daemon may create an accepting incident of this key at the same moment: then that one accepts.
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
    'Opens a closed incident again, as new. It accepts alerts again unless another incident of its key already does.';

create or replace function patrol.verify(
    id bigint, how text, expected_status text default null, expected_change bigint default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
begin
    if how is distinct from 'person' then
        raise exception 'verification "%" is not valid', how
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected person; second_device and second_input are found by the system.';
    end if;
    i := mobeye.lock_incident(id, expected_status);
    if i.status = 'closed' then
        raise exception 'incident %: cannot be verified, it is closed', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status, hint = 'Reopen it first.';
    end if;
    update mobeye.incident t
       set verified_by = how, priority = least(t.priority, t.verify_priority)
     where t.incident_id = id;
    perform mobeye.add_change(id, 'verified');
    perform mobeye.add_history(id, 'verified', how);
    return how;
end
$$;
comment on function patrol.verify(bigint, text, text, bigint) is
    'A person (how: person) confirms that an open incident is real: it goes before others of its priority, and gets the '
    'priority of verify_by in its rule.';

create or replace function patrol.note(
    id bigint, text text, expected_status text default null, expected_change bigint default null) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_incident(id, expected_status);
    perform mobeye.add_change(id, 'note');
    perform mobeye.add_history(id, 'note', mobeye.require_text('the note', text));
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
       set external_system = mobeye.require_text('the system', system), external_ref = mobeye.require_text('the number', ref)
     where t.incident_id = id;
    perform mobeye.add_change(id, 'link');
    perform mobeye.add_history(id, 'link', system || ' ' || ref);
end
$$;
comment on function patrol.link(bigint, text, text, text, bigint) is
    'Links an incident to its number in another system. It replaces an earlier link, which stays in the history.';

create or replace function patrol.claim_next(team text, officer text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_sort = off -- read the first few in the order of incident_open, however many are open
set enable_bitmapscan = off -- a bitmap would read them all, in another order
as $$
declare
    v mobeye.viewer := mobeye.officer_viewer();
    theirs mobeye.viewer;
    lock_timeout_before text := current_setting('lock_timeout');
    pass text;
    passed_over boolean := false; -- an incident was locked
    candidate bigint;
    claimed bigint;
begin
    perform mobeye.actor(), mobeye.require_text('the officer', officer);
    if team is not null or v.all_teams is not true then
        perform mobeye.require_text('the team', team);
    end if;
    if not v.all_teams and v.team is distinct from claim_next.team then
        raise exception 'team "%": you belong to team "%"', claim_next.team, coalesce(v.team, '')
            using errcode = 'insufficient_privilege', hint = 'Claim the next incident of your own team.';
    end if;
    if team is not null and not exists (select from mobeye.team t where t.team = claim_next.team)
       and exists (select from mobeye.team) then
        raise exception 'team "%" does not exist', claim_next.team
            using errcode = 'invalid_parameter_value',
                  hint = 'Teams: ' || (select string_agg(t.team, ', ' order by t.team) from mobeye.team t) || '.';
    end if;
    perform mobeye.check_officer(officer);
    theirs.team := claim_next.team;
    theirs.all_teams := claim_next.team is null;
    theirs.areas := array(select a.layer || ':' || a.code from mobeye.team_area a where a.team = claim_next.team);
    theirs.team_areas := array(select a.layer || ':' || a.code from mobeye.team_area a);
    -- Alerts that join an incident lock it for a moment: wait briefly for the first incident that is locked, or a less urgent
    -- one would be claimed. Later ones, locked by other officers, are skipped. If nothing else is left, wait.
    foreach pass in array array['brief', 'wait'] loop
        for candidate in
            select o.incident_id from (
                   select i.incident_id, i.team, i.areas, i.assigned_to from mobeye.incident i
                    where i.status <> 'closed' and i.category = 'alarm' and i.status in ('new', 'acknowledged', 'reopened')
                    order by i.delayed, i.priority, i.verified_by is null, i.first_seen, i.incident_id
                   offset 0) as o -- a fence: the conditions below are evaluated one by one, until an incident is free
             where (o.team = claim_next.team or theirs.all_teams
                    or o.team is null and mobeye.can_see(o.team, o.areas, o.assigned_to, theirs))
               and mobeye.can_see(o.team, o.areas, o.assigned_to, v)
               and (select f.muted_until is null and (f.restored_at is null or not mobeye.restored_in_mute(f.incident_id))
                      from mobeye.incident_full f where f.incident_id = o.incident_id)
        loop
            -- The lock on an incident that turns out to be taken is released with this block: a session that waits for an
            -- incident holds no other, or two officers could deadlock.
            begin
                claimed := null;
                if pass = 'skip' then
                    perform from mobeye.incident i where i.incident_id = candidate for update skip locked;
                    passed_over := passed_over or not found;
                else
                    perform set_config('lock_timeout', case pass when 'brief' then '200ms' else lock_timeout_before end,
                                       true);
                    perform from mobeye.incident i where i.incident_id = candidate for update;
                    perform set_config('lock_timeout', lock_timeout_before, true);
                end if;
                if found then
                    select i.incident_id into claimed from mobeye.incident i
                     where i.incident_id = candidate and i.status in ('new', 'acknowledged', 'reopened')
                       and mobeye.can_see(i.team, i.areas, i.assigned_to, theirs);
                end if;
                if claimed is null then
                    raise exception using errcode = 'MB002', message = 'not free';
                end if;
            exception
                when sqlstate 'MB002' then
                    continue;
                when lock_not_available then
                    if pass = 'wait' then
                        raise;
                    end if;
                    pass := 'skip';
                    passed_over := true;
                    continue;
            end;
            perform mobeye.change_status(claimed, 'assign', null, null, officer => officer,
                                team => (select t.team from mobeye.team t where t.team = claim_next.team));
            return claimed;
        end loop;
        exit when not passed_over;
    end loop;
    return null;
end
$$;
comment on function patrol.claim_next(text, text) is
    'Assigns to an officer the first unassigned incident of the queue that belongs to the team, or has no team and lies in '
    'its areas: it then gets the team. Team null: of any team, which it keeps; only for those who see all teams. Returns its '
    'id, null if there is none. No two callers get the same one.';
