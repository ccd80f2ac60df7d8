-- Who is looking, and what they may see.

-- Inside a SECURITY DEFINER function current_user is the owner; the role in force outside is the setting "role", or else
-- the login. That role decides what may be seen. The person, who is recorded and whose team counts, is:
--   the role in force, if it is the login of a person (set role);
--   else the person for whom a proxy login says it acts, with the rights of that person's own login, or of mobeye_patrol
--   if the person has no login;
--   else the login.
-- A login that is not a person, or a person with neither a team nor all_teams, sees no incidents: a missing row must
-- never show more. The team counts for officers and auditors only.
create or replace function mobeye.current_viewer() returns mobeye.viewer
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer;
    in_force text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    of_all_teams boolean := false;
    acting_as text := nullif(current_setting('mobeye.acting_as', true), '');
begin
    v.login := session_user;
    if in_force <> session_user and exists (select from mobeye.person p where p.login = in_force) then
        v.login := in_force;
    elsif acting_as is not null and exists (select from mobeye.proxy_login f where f.login = session_user) then
        if not exists (select from mobeye.person p where p.login = acting_as) then
            raise exception 'mobeye.acting_as: "%" is not a registered person', acting_as
                using errcode = 'invalid_authorization_specification',
                      hint = 'Set it to the login of a person, whom mobeyectl people import registers.';
        end if;
        v.login := acting_as;
        in_force := case when to_regrole(quote_ident(acting_as)) is null then 'mobeye_patrol' else acting_as end;
    end if;
    v.via := nullif(session_user, v.login);
    v.is_owner := pg_has_role(in_force, 'mobeye_owner', 'member');
    v.is_officer := v.is_owner or pg_has_role(in_force, 'mobeye_patrol', 'member');
    v.is_registrar := v.is_owner or pg_has_role(in_force, 'mobeye_registry', 'member');
    v.is_auditor := v.is_owner or pg_has_role(in_force, 'mobeye_auditor', 'member');
    -- The board requires that a device manager is also a person: their team shows them no alarms.
    if v.is_officer or v.is_auditor then
        select p.team, p.all_teams into v.team, of_all_teams from mobeye.person p where p.login = v.login;
    end if;
    v.all_teams := v.is_auditor or of_all_teams is true;
    if of_all_teams is not true and v.team is not null then
        v.areas := array(select a.layer || ':' || a.code from mobeye.team_area a where a.team = v.team);
        v.team_areas := array(select a.layer || ':' || a.code from mobeye.team_area a);
    end if;
    return v;
end
$$;
comment on function mobeye.current_viewer() is 'The person who is looking, with team and rights.';

-- Two roles together give no more than each of them alone: an officer who is also an auditor looks as an auditor, and acts as
-- an officer.
create or replace function mobeye.must_give_reason(v mobeye.viewer) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select v.is_auditor and not v.is_owner $$;
comment on function mobeye.must_give_reason(mobeye.viewer) is
    'Whether a viewer sees places, alerts and images only with a reason, which is recorded.';

create or replace function mobeye.officer_viewer() returns mobeye.viewer
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
begin
    if v.is_auditor and not v.is_owner then
        v.is_auditor := false;
        v.all_teams := exists (select from mobeye.person p where p.login = v.login and p.all_teams);
    end if;
    return v;
end
$$;
comment on function mobeye.officer_viewer() is
    'The person who is acting: current_viewer() without the sight of an auditor.';

create or replace function mobeye.can_see(team text, areas text[], assigned_to text, v mobeye.viewer) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return v.all_teams
        or v.team is not null and (coalesce(team = v.team or assigned_to = v.login, false)
                                   or team is null and (areas && v.areas or not areas && v.team_areas));
end
$$;
comment on function mobeye.can_see(text, text[], text, mobeye.viewer) is
    'Whether a viewer sees an incident: it is their team''s or assigned to them, or it has no team and lies in the areas '
    'of their team, or in no team''s areas, where nobody else would see it. A viewer with neither a team nor all_teams '
    'sees nothing.';

-- Device managers, unlike officers, may call functions of schema mobeye by name, even those who are also officers.
create or replace function mobeye.is_closed_to_viewer(i mobeye.incident) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select v.is_registrar and i.category <> 'service' and mobeye.can_see(i.team, i.areas, i.assigned_to, v) is not true
      from mobeye.current_viewer() as v
$$;
comment on function mobeye.is_closed_to_viewer(mobeye.incident) is
    'Whether the viewer is a device manager who does not see the incident.';

create or replace function mobeye.may_see_secret(team text, incident_id bigint, v mobeye.viewer) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A device manager can make up a viewer. For officers the viewer is not determined again for each alert.
    if pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user), 'mobeye_registry', 'member')
       and (v.login, v.team) is distinct from ((mobeye.current_viewer()).login, (mobeye.current_viewer()).team) then
        return false;
    end if;
    return coalesce(team = v.team, false)
        or exists (select from mobeye.incident i
                    where i.incident_id = may_see_secret.incident_id
                      and (i.team = v.team or i.assigned_to = v.login));
end
$$;
comment on function mobeye.may_see_secret(text, bigint, mobeye.viewer) is
    'Whether a viewer may know the place of a secret alert: it is of the team of its placement or of its incident, or the '
    'incident is assigned to the viewer.';

create or replace function mobeye.actor() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from mobeye.proxy_login f where f.login = session_user)
       and nullif(current_setting('mobeye.acting_as', true), '') is null
       and (mobeye.current_viewer()).via is null then
        raise exception 'proxy login "%": mobeye.acting_as is not set', session_user
            using errcode = 'invalid_authorization_specification',
                  hint = 'Set it to the login of the person first.';
    end if;
    return (mobeye.current_viewer()).login;
end
$$;
comment on function mobeye.actor() is 'The person to record. Refuses a proxy login that does not say for whom it acts.';
