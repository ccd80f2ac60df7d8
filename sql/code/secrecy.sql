-- Secrecy of what is stored: an incident or alert at a placement that becomes secret later becomes secret too.

create or replace function mobeye.is_revealed(incident_id bigint) returns boolean
language sql stable cost 1000
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.incident i
                     join mobeye.incident_history h on h.incident_id = i.incident_id
                    where i.incident_id = is_revealed.incident_id and not i.secret and h.action = 'reveal')
$$;
comment on function mobeye.is_revealed(bigint) is
    'Whether the owner has revealed an incident (mobeye.reveal()) that has not become secret again.';

-- Everything that was stored at the placement: by its number, by device and time, and what was located afterwards by a fix that
-- was taken there (a last known place is used for a day, the fix in a message for ten minutes; one that is
-- farther off is of where the device went). Safe to repeat: rows that are secret already are left alone.
create or replace function mobeye.hide_placements(placements bigint[], also_revealed boolean default true) returns bigint
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
               set secret = true, placement_id = p.placement_id, team = p.team,
                   areas = case when a.incident_id is null and p.team is null then mobeye.areas_at(p.geom, a.occurred_at) end,
                   wijk_code = case when a.geom is null or a.location_source = 2 and a.geom operator(public.=) p.geom then a.wijk_code
                                    else mobeye.area_code(mobeye.areas_at(p.geom, a.occurred_at), 'wijk') end,
                   buurt_code = case when a.geom is null or a.location_source = 2 and a.geom operator(public.=) p.geom then a.buurt_code
                                     else mobeye.area_code(mobeye.areas_at(p.geom, a.occurred_at), 'buurt') end
              from mobeye.names_of(p.device_id) as name
             where a.device_id = name and not a.secret
               and (a.placement_id = p.placement_id
                    or a.occurred_at >= lower(p.during)
                       and (a.occurred_at < coalesce(upper(p.during), 'infinity')
                            or a.location_source = 3 -- last_known
                               and a.occurred_at < upper(p.during) + interval '25 hours'
                            or a.location_source = 1 /* message */ and a.placement_id is null
                               and a.occurred_at < upper(p.during) + interval '10 minutes'
                               and public.st_distancesphere(a.geom, p.geom) <= 250 + coalesce(a.accuracy_m, 0))
                       and mobeye.is_of(p.device_id, name, a.placement_id, a.occurred_at))
               and (also_revealed or not mobeye.is_revealed(a.incident_id))
            returning a.incident_id)
        select coalesce(array_agg(distinct h.incident_id) filter (where h.incident_id is not null), '{}'), count(*)
          into incidents, n from hidden h;
        hidden := hidden + n;
        -- Alerts may be past their retention.
        incidents := incidents || array(
            select i.incident_id from mobeye.names_of(p.device_id) as name join mobeye.incident i on i.device_id = name
             where i.first_seen >= lower(p.during)
               and (i.first_seen < coalesce(upper(p.during), 'infinity')
                    or i.location_source = 'last_known' and i.first_seen < upper(p.during) + interval '25 hours'
                    or i.location_source = 'message' and i.device_placement_id is null
                       and i.first_seen < upper(p.during) + interval '10 minutes'
                       and public.st_distancesphere(i.geom, p.geom) <= 250 + coalesce(i.accuracy_m, 0))
               and not i.secret and (also_revealed or not mobeye.is_revealed(i.incident_id))
               and mobeye.is_of(p.device_id, name, mobeye.stood_at(i), i.first_seen));
        insert into mobeye.incident_history (incident_id, at, actor, action)
        select i.incident_id, clock_timestamp(), 'mobeyed', 'hide' from mobeye.incident i
         where also_revealed and (i.incident_id = any (incidents) or i.placement_id = p.placement_id) and mobeye.is_revealed(i.incident_id);
        -- If another secret placement is in the incident as well, no single team may know the place.
        update mobeye.incident i
           set secret = true,
               secret_team = case when i.secret and i.secret_team is distinct from p.team then null else p.team end,
               cell = coalesce(i.cell, p.cell),
               areas = case when i.secret or i.location_source = 'placement' and i.geom operator(public.=) p.geom then i.areas
                            else mobeye.areas_at(p.geom, i.first_seen) end
         where i.incident_id = any (incidents)
            or i.placement_id = p.placement_id and not i.secret and (also_revealed or not mobeye.is_revealed(i.incident_id));
        get diagnostics n = row_count;
        hidden := hidden + n;
        update mobeye.mute m
           set secret = true, team = p.team
          from mobeye.names_of(p.device_id) as name
         where m.device_id = name and not m.secret
           and (m.placement_id = p.placement_id
                or m.placement_id is null and p.during @> m.at and mobeye.is_of(p.device_id, name, null, m.at));
        get diagnostics n = row_count;
        hidden := hidden + n;
        update mobeye.device_status s
           set fix = null, fix_accuracy_m = null, fix_at = null
          from mobeye.names_of(p.device_id) as name
         where s.device_id = name and p.during @> s.fix_at and mobeye.is_of(p.device_id, name, null, s.fix_at);
    end loop;
    return hidden;
end
$$;
comment on function mobeye.hide_placements(bigint[], boolean) is
    'Makes the alerts, incidents and mutes secret that were stored before their placement became secret; returns how many rows it '
    'changed. also_revealed: those too that the owner has revealed.';

-- For a placement that begins now or later, nothing is stored yet. One that was already secret, and does not last longer, has
-- nothing to hide except what the owner has revealed.
create or replace function mobeye.hide_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        perform mobeye.hide_placements(array(
            select n.placement_id from new_rows n where n.secret and lower(n.during) < now() - interval '1 second'));
    else
        perform mobeye.hide_placements(array(
            select n.placement_id from new_rows n
             where n.secret and lower(n.during) < now() - interval '1 second'
               and not exists (select from old_rows o
                                where o.placement_id = n.placement_id and o.secret and o.during @> n.during)));
        -- Its device was renamed, or another one is there: with the name it gets what was stored under that name.
        perform mobeye.hide_placements(array(
            select n.placement_id from new_rows n join old_rows o on o.placement_id = n.placement_id and o.device_id <> n.device_id
             where n.secret and lower(n.during) < now() - interval '1 second'), also_revealed => false);
    end if;
    return null;
end
$$;
comment on function mobeye.hide_changed() is 'Hides what is stored for placements that are secret from an earlier time on.';

create or replace trigger hide_insert after insert on mobeye.placement referencing new table as new_rows
    for each statement execute function mobeye.hide_changed();

create or replace trigger hide_update after update on mobeye.placement referencing old table as old_rows new table as new_rows
    for each statement execute function mobeye.hide_changed();

-- With an address a device gets the alerts that were stored under the name of that address.
create or replace function mobeye.hide_addressed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.hide_placements(array(
        select p.placement_id from mobeye.placement p
         where p.secret and lower(p.during) < now() and p.device_id in (select n.device_id from new_rows n)),
                                   also_revealed => false);
    return null;
end
$$;
comment on function mobeye.hide_addressed() is 'Hides what is stored under new addresses of devices with secret placements.';

create or replace trigger hide_insert after insert on mobeye.device_address referencing new table as new_rows
    for each statement execute function mobeye.hide_addressed();

create or replace trigger hide_update after update on mobeye.device_address referencing new table as new_rows
    for each statement execute function mobeye.hide_addressed();

-- A batch that was being stored while a placement became secret was stored as it was before. Under an earlier name of a device,
-- including that of an account that moved from one device to another, the daemon knows no placement, however long ago that was:
-- a sender may keep using the name, or a journal may be late, by a month like its alerts.
create or replace function mobeye.hide_late() returns bigint
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    with late as materialized ( -- including what was stored while no daemon led maintenance, and while this job last ran
        select coalesce((select m.succeeded_at from mobeye.maintenance m where m.job = 'secrecy'), now()) - interval '10 minutes' as since)
    select mobeye.hide_placements(coalesce(array_agg(p.placement_id), '{}'), also_revealed => false)
      from mobeye.placement p
     where p.secret and lower(p.during) < now()
       and (p.device_id in (select l.device_id from mobeye.registry_log l where l.at > (select late.since from late))
            or exists (select from (select r.earlier_id from mobeye.device_renamed r where r.device_id = p.device_id
                                    union all
                                    select mobeye.address_names(p.device_id)
                                     where exists (select from mobeye.address_holder h
                                                     join mobeye.earlier_address e on ltrim(e.account, '0') = h.account
                                                    where h.device_id = p.device_id and e.until > now() - interval '62 days')) n (name)
                        -- limit: by name, in the index, whatever the statistics say. is_of(): another device may have the name by now;
                        -- hide_placements() would each time look through everything it sent, and hide none of it.
                        cross join lateral (select from mobeye.alert a
                                             where a.device_id = n.name and a.occurred_at >= lower(p.during)
                                               and a.occurred_at > now() - interval '62 days'
                                               and (a.occurred_at < upper(p.during) + interval '25 hours' or upper_inf(p.during))
                                               and a.stored_at > (select late.since from late) and not a.secret
                                               and mobeye.is_of(p.device_id, n.name, a.placement_id, a.occurred_at) limit 1) one))
$$;
comment on function mobeye.hide_late() is
    'Hides again what changes of placements within the last ten minutes, or since this job last succeeded, made secret, including '
    'batches that were being stored at the time, and what was stored since then under earlier names of devices.';

-- By its placement, not by the names of devices: it keeps the name that its device had then, and its place may be that of
-- another device. mobeyectl deals with other placements at that address, as for a place given in any other way.
create or replace function mobeye.incident_secrecy(incident_id bigint, out secret boolean, out team text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select i.secret or coalesce(p.secret, false), case when i.secret and p.secret is not true then i.secret_team else p.team end
      from mobeye.incident i
      left join mobeye.placement p on p.placement_id = coalesce(i.placement_id, i.device_placement_id)
     where i.incident_id = incident_secrecy.incident_id and not mobeye.is_closed_to_viewer(i)
$$;
comment on function mobeye.incident_secrecy(bigint) is
    'Whether an incident or its placement is secret, and for which team: for another device that is placed there.';

create or replace function mobeye.reveal(incident_id bigint, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.require_text('the reason', reason);
    update mobeye.incident i set secret = false, secret_team = null, cell = null
     where i.incident_id = reveal.incident_id and i.secret;
    if not found then
        raise exception 'incident % is not secret or does not exist', coalesce(incident_id::text, 'null')
            using errcode = 'no_data_found';
    end if;
    update mobeye.alert a set secret = false where a.incident_id = reveal.incident_id and a.secret;
    perform mobeye.add_history(reveal.incident_id, 'reveal', reason, actor => session_user::text);
end
$$;
comment on function mobeye.reveal(bigint, text) is
    'For the owner only: an incident at a secret place is no longer secret, nor are its alerts, until it gets another alert of a '
    'secret placement. Recorded in its history.';
