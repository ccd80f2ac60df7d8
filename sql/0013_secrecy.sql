-- What is stored with alerts and incidents stays right when the registry changes: what becomes secret later, teams that
-- are renamed, placements that incidents name.
-- By hand, backwards: drop the functions below with their triggers, and the indexes.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

create index if not exists incident_placement on mobeye.incident (placement_id) where placement_id is not null;
create index if not exists incident_cell on mobeye.incident using gist (cell) where cell is not null;

-- ---------------------------------------------------------------------------------------------------------------------
-- Devices keep their history under other names

-- Alerts keep the name that their device had.
create table if not exists mobeye.device_renamed (
    earlier_id text collate "C" not null,
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    at timestamptz not null default now(),
    primary key (device_id, earlier_id)
);
comment on table mobeye.device_renamed is 'Under which names devices reported before; kept by a trigger.';
comment on column mobeye.device_renamed.earlier_id is 'The name that it had.';
comment on column mobeye.device_renamed.device_id is 'The name that it has now.';
comment on column mobeye.device_renamed.at is 'When it was renamed.';

create or replace function mobeye.note_rename() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.device_renamed (earlier_id, device_id) values (old.device_id, new.device_id)
        on conflict (device_id, earlier_id) do update set at = excluded.at;
    return null;
end
$$;
comment on function mobeye.note_rename() is 'Remembers under which name the alerts of a device were stored before.';
create or replace trigger note_rename after update of device_id on mobeye.device
    for each row when (old.device_id <> new.device_id) execute function mobeye.note_rename();

create or replace function mobeye.names_of(device_id text) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select device_id
    union
    select r.earlier_id from mobeye.device_renamed r where r.device_id = names_of.device_id
$$;
comment on function mobeye.names_of(text) is 'The name of a device, and those that it had before.';

-- ---------------------------------------------------------------------------------------------------------------------
-- What becomes secret later

-- Everything that was stored at the placement: under its number, by device and time, and what was placed afterwards by
-- a fix that was taken there (a last known place holds for a day). Safe to repeat: what is secret is left alone.
create or replace function mobeye.hide_placements(placements bigint[]) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    p mobeye.placement;
    incidents bigint[];
    hidden bigint := 0;
    n bigint;
begin
    for p in select * from mobeye.placement t where t.placement_id = any (placements) and t.secret loop
        with hidden as (
            update mobeye.alert a
               set secret = true, placement_id = p.placement_id, team = p.team
              from mobeye.names_of(p.device_id) as name
             where a.device_id = name and not a.secret and a.occurred_at >= lower(p.during)
               and (a.occurred_at < coalesce(upper(p.during), 'infinity')
                    or a.location_source = 'last_known' and a.occurred_at < upper(p.during) + interval '25 hours')
            returning a.incident_id)
        select coalesce(array_agg(distinct h.incident_id) filter (where h.incident_id is not null), '{}'), count(*)
          into incidents, n from hidden h;
        hidden := hidden + n;
        -- Of an incident that another secret placement is in as well, no team alone may know the place.
        update mobeye.incident i
           set secret = true,
               secret_team = case when i.secret and i.secret_team is distinct from p.team then null else p.team end,
               cell = coalesce(i.cell, p.cell)
         where i.incident_id = any (incidents) or i.placement_id = p.placement_id and not i.secret;
        get diagnostics n = row_count;
        hidden := hidden + n;
        update mobeye.device_status s
           set fix = null, fix_accuracy_m = null, fix_at = null
         where s.device_id = p.device_id and p.during @> s.fix_at;
    end loop;
    return hidden;
end
$$;
comment on function mobeye.hide_placements(bigint[]) is
    'Makes secret what was stored of alerts and incidents at secret placements before these became so; returns how many '
    'rows it changed.';

-- A placement that begins now, or later, has nothing stored yet.
create or replace function mobeye.hide_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.hide_placements(array(
        select n.placement_id from new_rows n where n.secret and lower(n.during) < now() - interval '1 second'));
    return null;
end
$$;
comment on function mobeye.hide_changed() is 'Has what is stored follow placements that are secret from an earlier time on.';
create or replace trigger hide_insert after insert on mobeye.placement referencing new table as new_rows
    for each statement execute function mobeye.hide_changed();
create or replace trigger hide_update after update on mobeye.placement referencing new table as new_rows
    for each statement execute function mobeye.hide_changed();

-- A batch that was under way while a placement became secret was stored as it was before.
create or replace function mobeye.hide_late() returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.hide_placements(coalesce(array_agg(p.placement_id), '{}'))
      from mobeye.placement p
     where p.secret and lower(p.during) < now()
       and p.device_id in (select l.device_id from mobeye.registry_log l where l.at > now() - interval '10 minutes')
$$;
comment on function mobeye.hide_late() is
    'Hides again what placements of the last ten minutes make secret: a batch may have been on its way meanwhile.';

-- The other way takes the owner, and is remembered.
create or replace function mobeye.reveal(incident_id bigint, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(reason, '') !~ '\S' then
        raise exception 'the reason is missing' using errcode = 'invalid_parameter_value',
            hint = 'It is kept in the incident''s history.';
    end if;
    update mobeye.incident i set secret = false, secret_team = null, cell = null
     where i.incident_id = reveal.incident_id and i.secret;
    if not found then
        raise exception 'incident % is not secret, or does not exist', coalesce(incident_id::text, 'null')
            using errcode = 'no_data_found';
    end if;
    update mobeye.alert a set secret = false where a.incident_id = reveal.incident_id and a.secret;
    insert into mobeye.incident_history (incident_id, actor, action, note)
    values (reveal.incident_id, session_user, 'reveal', reason);
end
$$;
comment on function mobeye.reveal(bigint, text) is
    'For the owner alone: an incident at a secret place, with its alerts, is secret no longer. Recorded in its history.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Placements that incidents name stay

create or replace function mobeye.keep_named_placement() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    from_at timestamptz; -- of the placement; null: any of the device
begin
    if tg_table_name = 'placement' then
        from_at := lower(old.during);
    end if;
    if not pg_has_role(current_user, 'mobeye_owner', 'member') and mobeye.is_named(old.device_id, from_at) then
        raise exception 'incidents name % of device %, so it cannot be deleted',
                        case tg_table_name when 'placement' then 'this placement' else 'a placement' end, old.device_id
            using errcode = 'object_in_use',
                  hint = 'End the placement instead (mobeyectl device retrieve), and set the device''s state to "retired".';
    end if;
    return old;
end
$$;
comment on function mobeye.keep_named_placement() is
    'Lets a placement that incidents name be ended, not deleted, by the registry; erasure and retention may.';

create or replace function mobeye.is_named(device_id text, from_at timestamptz) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.placement p
                     join mobeye.incident i on i.placement_id = p.placement_id
                    where p.device_id = is_named.device_id and (from_at is null or lower(p.during) = from_at))
$$;
comment on function mobeye.is_named(text, timestamptz) is
    'Whether incidents name a placement of the device: the one from that time on, or (null) any.';
-- Of the device too: what is deleted with it is deleted in the name of the tables' owner.
create or replace trigger keep_named before delete on mobeye.placement
    for each row execute function mobeye.keep_named_placement();
create or replace trigger keep_named before delete on mobeye.device
    for each row execute function mobeye.keep_named_placement();

-- A mute ends with its placement.
create or replace function mobeye.end_placement_mutes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ends timestamptz := now(); -- of a deleted one
begin
    if tg_op = 'UPDATE' then
        ends := upper(new.during);
    end if;
    update mobeye.mute m set until = greatest(ends, m.at + interval '1 microsecond')
     where m.placement_id = old.placement_id and m.ended_at is null and m.until > ends;
    return null;
end
$$;
comment on function mobeye.end_placement_mutes() is 'Has the mutes of a placement end where it ends.';
create or replace trigger end_mutes_update after update of during on mobeye.placement
    for each row when (not upper_inf(new.during)) execute function mobeye.end_placement_mutes();
create or replace trigger end_mutes_delete after delete on mobeye.placement
    for each row execute function mobeye.end_placement_mutes();

-- ---------------------------------------------------------------------------------------------------------------------
-- Teams

-- A rename is one act: members of the team see afterwards what they saw before.
create or replace function mobeye.rename_team() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    renamed text := case when tg_op = 'UPDATE' then new.team end; -- of a deleted team: none
begin
    update mobeye.incident i set team = renamed where i.team = old.team;
    update mobeye.incident i set secret_team = renamed where i.secret_team = old.team;
    update mobeye.alert a set team = renamed where a.team = old.team;
    return null;
end
$$;
comment on function mobeye.rename_team() is 'Has incidents and alerts follow a team that is renamed; of one that is deleted they are nobody''s.';
create or replace trigger rename_team after update of team on mobeye.team
    for each row when (old.team <> new.team) execute function mobeye.rename_team();
create or replace trigger delete_team after delete on mobeye.team
    for each row execute function mobeye.rename_team();

grant execute on function mobeye.is_named(text, timestamptz) to mobeye_registry;
grant execute on function mobeye.hide_late() to mobeye_ingest;

-- ---------------------------------------------------------------------------------------------------------------------
-- Leavers

-- In the rights of the caller, who must be allowed to change roles: a superuser, as a rule.
create or replace function mobeye.remove_person(login text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known boolean;
    groups text;
    sessions bigint := 0;
    kept text;
begin
    delete from mobeye.person p where p.login = remove_person.login;
    known := found;
    select string_agg(quote_ident(g.rolname), ', ') into groups
      from pg_auth_members m join pg_roles g on g.oid = m.roleid
     where m.member = to_regrole(quote_ident(login)) and g.rolname like 'mobeye\_%';
    if not known and groups is null then
        raise exception 'person "%" does not exist', login
            using errcode = 'no_data_found', hint = 'select login, name, team from mobeye.person lists people.';
    end if;
    if groups is null then
        return case when to_regrole(quote_ident(login)) is null then 'person removed; there was no database login'
                    else 'person removed; the database login has no rights here and was left alone' end;
    end if;
    execute format('revoke %s from %I', groups, login);
    execute format('alter role %I nologin', login);
    select count(pg_terminate_backend(a.pid)) into sessions
      from pg_stat_activity a where a.usename = login and a.pid <> pg_backend_pid();
    begin
        execute format('drop role %I', login);
        kept := 'login dropped';
    exception when dependent_objects_still_exist then
        kept := 'login disabled (it owns objects, so it was not dropped)';
    end;
    return format('%s; %s; %s sessions ended', case when known then 'person removed' else 'was no person' end, kept, sessions);
end
$$;
comment on function mobeye.remove_person(text) is
    'Takes a leaver away: the person, the database login with its rights, and its live sessions; returns what was done.';
