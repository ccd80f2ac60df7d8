-- Teams that are renamed or deleted, and people who leave.

create or replace view patrol.teams with (security_barrier) as
select t.team, t.name
  from mobeye.team t
 where (select v.all_teams or v.team is not null or v.is_registrar from mobeye.current_viewer() v)
 order by t.team;
comment on view patrol.teams is 'The teams: what columns named team, and claim_next(), take. Empty for a login that does not belong to a team.';
comment on column patrol.teams.team is 'Short name.';
comment on column patrol.teams.name is 'Full name; null if it is the short name.';

create or replace function mobeye.rename_team() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    renamed text := case when tg_op = 'UPDATE' then new.team end; -- null for a deleted team
begin
    -- Alerts, which take long and which otherwise only erasures and changes of secrecy touch, come before incidents, whose rows
    -- the daemon would wait for; likewise changes, except those that a daemon is about to number.
    update mobeye.alert a set team = renamed where a.team = old.team;
    update mobeye.change c set team_before = renamed where c.team_before = old.team and c.change_id is not null;
    -- In the order in which the daemon locks them.
    perform from mobeye.incident i where old.team in (i.team, i.secret_team) order by i.incident_id for update;
    update mobeye.incident i
       set team = case when i.team = old.team then renamed else i.team end,
           secret_team = case when i.secret_team = old.team then renamed else i.secret_team end
     where old.team in (i.team, i.secret_team);
    -- A mute of an area without a team would apply to all teams: that of a deleted team ends.
    update mobeye.mute m set until = greatest(now(), m.at + interval '1 microsecond')
     where m.team = old.team and m.area is not null and renamed is null and m.until > now() and m.ended_at is null;
    update mobeye.mute m set team = renamed where m.team = old.team and (m.device_id is not null or renamed is not null);
    return null;
end
$$;
comment on function mobeye.rename_team() is
    'Renames a team in incidents, alerts, mutes and changes, so that its members see the same as before; a deleted team leaves '
    'them without a team, and ends its mutes of areas.';

create or replace trigger rename_team after update of team on mobeye.team
    for each row when (old.team <> new.team) execute function mobeye.rename_team();

create or replace trigger delete_team after delete on mobeye.team
    for each row execute function mobeye.rename_team();

create or replace function mobeye.unknown_teams(names text[]) returns table (team text, meant text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select n.name, (select min(t.team) from mobeye.team t where mobeye.is_slip(n.name, t.team))
      from unnest(names) as n (name) where n.name is not null and not exists (select from mobeye.team t where t.team = n.name)
$$;
comment on function mobeye.unknown_teams(text[]) is
    'The names that are not a team, each with the team that was probably meant (is_slip()), or null. For the checks of imports.';

-- The login may be given to another person. The history of an incident says who worked on it.
create or replace function mobeye.release_all() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
begin
    update mobeye.change c set assigned_before = null where c.assigned_before = old.login and c.change_id is not null;
    for i in select t.* from mobeye.incident t where t.assigned_to = old.login order by t.incident_id for update loop
        if i.status = 'closed' then
            update mobeye.incident t set assigned_to = null where t.incident_id = i.incident_id;
        else
            update mobeye.incident t set assigned_to = null, status = 'acknowledged', on_scene_at = null, released_at = clock_timestamp()
             where t.incident_id = i.incident_id;
            perform mobeye.add_change(i.incident_id, 'status');
            perform mobeye.add_history(i.incident_id, 'status', 'person removed', i.status, 'acknowledged');
        end if;
    end loop;
    return null;
end
$$;
comment on function mobeye.release_all() is
    'Releases what is assigned to a person who is removed, and leaves nothing closed with them: who gets their login later would '
    'see it.';

create or replace trigger release_all after delete on mobeye.person
    for each row execute function mobeye.release_all();

create or replace function mobeye.is_program_login(login text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select starts_with(login, 'mobeye_') or exists (select from mobeye.proxy_login p where p.login = is_program_login.login)
           or exists (select from pg_roles r
                       where r.rolname = is_program_login.login and not r.rolsuper and not pg_has_role(r.oid, 'mobeye_owner', 'member')
                         and (pg_has_role(r.oid, 'mobeye_ingest', 'member') or pg_has_role(r.oid, 'mobeye_board', 'member')))
$$;
comment on function mobeye.is_program_login(text) is
    'Whether the daemon, the board or another program that acts for people logs in by this name, which no person may have.';

-- With the rights of the caller, who must be allowed to change roles: usually a superuser.
create or replace function mobeye.remove_person(login text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    registered boolean;
    groups text;
    sessions bigint := 0;
    outcome text;
begin
    delete from mobeye.person p where p.login = remove_person.login;
    registered := found;
    if mobeye.is_program_login(login) then
        if registered then
            return 'person removed; the database login is that of a program and was kept';
        end if;
        raise exception 'login "%" is that of a program, not of a person', login using errcode = 'invalid_parameter_value';
    end if;
    -- The town's own groups may have the rights too. What reads the files of the server need not be a person: backup roles do.
    select string_agg(quote_ident(g.rolname), ', ') into groups
      from pg_auth_members m join pg_roles g on g.oid = m.roleid
     where m.member = to_regrole(quote_ident(login))
       and exists (select from pg_roles r
                    where (starts_with(r.rolname, 'mobeye_') or r.rolname in ('pg_read_all_data', 'pg_write_all_data')
                           or registered and r.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))
                      and pg_has_role(g.oid, r.oid, 'member'));
    if not registered and groups is null then
        raise exception 'person "%" does not exist', login
            using errcode = 'no_data_found', hint = 'mobeye.person lists the people.';
    end if;
    if groups is null then
        return case when to_regrole(quote_ident(login)) is null then 'person removed; there was no database login'
                    when (select r.rolsuper from pg_roles r where r.rolname = login)
                    then format('person removed; the database login is a superuser, who still sees everything, and was kept '
                                '(alter role %I nologin)', login)
                    when exists (select from pg_shdepend d join pg_database b on b.datname = current_database()
                                  where d.refclassid = 'pg_authid'::regclass and pg_has_role(login, d.refobjid, 'member')
                                    and (d.dbid = b.oid or d.dbid = 0 and d.classid = 'pg_database'::regclass and d.objid = b.oid))
                    then format('person removed; the database login has privileges or objects in this database, by itself or by a role that it '
                                'belongs to, and was kept (alter role %I nologin)', login)
                    else 'person removed; the database login has no rights in this database and was kept' end;
    end if;
    execute format('revoke %s from %I', groups, login);
    execute format('alter role %I nologin password null', login);
    -- Waits for each to be gone, or it would be counted again after the commit.
    select count(*) filter (where pg_terminate_backend(a.pid, 5000)) into sessions
      from pg_stat_activity a where a.usename = login and a.pid <> pg_backend_pid();
    begin
        execute format('drop role %I', login);
        outcome := 'login dropped';
    exception when dependent_objects_still_exist then
        outcome := 'login disabled (it has privileges or objects of its own, so it was not dropped)';
    end;
    return format('%s; %s; %s ended', case when registered then 'person removed' else 'was not a registered person' end, outcome,
                  sessions || case sessions when 1 then ' session' else ' sessions' end);
end
$$;
comment on function mobeye.remove_person(text) is
    'Removes a person who leaves: the person, the database login with its rights, and its sessions; what is assigned to them is '
    'released. Returns what was done.';
