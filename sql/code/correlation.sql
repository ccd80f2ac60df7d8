-- Correlation: which incidents the alerts of a batch may join, and what the daemon decided about them.

-- Both functions are called in one statement, in this order: the conditions are read while the incidents are locked, so that
-- nobody else can change them. A condition that another daemon inserts at this moment is not seen; the unique indexes detect
-- that.
--   conditions              of the alerts
--   same_kind_from, _until  bounds of the conditions of a device and kind; only the active ones are wanted: a restore
--   keys                    of the alerts whose rule makes incidents, with the times of the first and last occurrence
-- The incidents are those of the conditions; for each key the accepting one; and if alerts of the key are too early for that
-- one, or there is none, the latest others that are no further than their gap from the alerts.
create or replace function mobeye.read_incidents(
    conditions uuid[], same_kind_from uuid[], same_kind_until uuid[],
    keys uuid[], key_from timestamptz[], key_until timestamptz[])
returns table (
    incident_id bigint, incident_key uuid, accepting boolean, closed boolean, closed_by_person boolean, urgent boolean,
    verified boolean, drill boolean, category text, location_source text, priority smallint, verify_priority smallint,
    kind text, device_id text, first_seen timestamptz, last_seen timestamptz, last_received_at timestamptz, closed_at timestamptz,
    restored_at timestamptz, cancelled_at timestamptz, alert_count integer, active integer, flaps integer,
    gap interval, max_age interval, settle interval, moved_over_m real, geom public.geometry, accuracy_m real,
    placement_id bigint, placement_geom public.geometry, device_placement_id bigint, device_placed_at timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- One plan, whatever the statistics say: a few index look-ups per alert of the batch.
set enable_seqscan = off -- the tables are empty on the first day and large soon after
set enable_hashjoin = off -- would read a whole table
set enable_mergejoin = off -- likewise
set enable_material = off -- likewise, for a nested loop
set enable_bitmapscan = off -- each look-up returns few rows, in order
set max_parallel_workers_per_gather = 0 -- starting a worker takes longer than the statement
set jit = off -- compiling takes longer than the statement
set plan_cache_mode = force_generic_plan -- planning for each batch takes longer than the statement
as $$
#variable_conflict use_column
begin
    return query
    with followed as materialized (
        select c.incident_id from mobeye.incident_condition c where c.condition = any (conditions)
        union all
        select c.incident_id
          from unnest(same_kind_from, same_kind_until) as f (first_condition, last_condition)
          join mobeye.incident_condition c on c.condition between f.first_condition and f.last_condition and c.active
    ), keyed as materialized (
        select k.key, k.from_at, k.until_at, i.incident_id,
               case when i.max_age is not null or i.moved_over_m is not null then i.last_seen
                    -- from before its device was placed there, or from a time when it was placed elsewhere
                    when i.device_placement_id is null then i.first_seen
                    when k.from_at < i.last_seen and exists (
                        select from mobeye.placement p
                         where p.placement_id = i.device_placement_id and k.from_at < lower(p.during)) then i.last_seen
                    else i.first_seen - i.gap end as since
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
    select i.incident_id, i.incident_key, i.accepting, i.status = 'closed', i.closed_by_person, i.urgent,
           i.verified_by is not null, i.drill, i.category, i.location_source,
           i.priority, i.verify_priority, i.kind, i.device_id, i.first_seen, i.last_seen, i.last_received_at,
           i.closed_at, i.restored_at, i.cancelled_at, i.alert_count, i.active, i.flaps, i.gap, i.max_age, i.settle,
           i.moved_over_m, i.geom, i.accuracy_m, i.placement_id,
           (select p.geom from mobeye.placement p where p.placement_id = i.placement_id), i.device_placement_id,
           (select lower(p.during) from mobeye.placement p where p.placement_id = i.device_placement_id)
      from mobeye.incident i
     where i.incident_id in (select w.incident_id from wanted w)
     order by i.incident_id
       for update of i;
end
$$;
comment on function mobeye.read_incidents(uuid[], uuid[], uuid[], uuid[], timestamptz[], timestamptz[]) is
    'Locks the incidents that alerts may join, in the order of incident_id, and returns them.';

create or replace function mobeye.read_conditions(conditions uuid[], same_kind_from uuid[], same_kind_until uuid[])
returns table (incident_id bigint, condition uuid, active boolean, since timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- One plan, whatever the statistics say: a few index look-ups per alert of the batch.
set enable_seqscan = off -- the tables are empty on the first day and large soon after
set enable_hashjoin = off -- would read a whole table
set enable_mergejoin = off -- likewise
set enable_material = off -- likewise, for a nested loop
set enable_bitmapscan = off -- each look-up returns few rows, in order
set max_parallel_workers_per_gather = 0 -- starting a worker takes longer than the statement
set jit = off -- compiling takes longer than the statement
set plan_cache_mode = force_generic_plan -- planning for each batch takes longer than the statement
as $$
#variable_conflict use_column
begin
    return query
    select c.incident_id, c.condition, c.active, c.since
      from mobeye.incident_condition c
     where c.condition = any (conditions)
    union
    select c.incident_id, c.condition, c.active, c.since
      from unnest(same_kind_from, same_kind_until) as f (first_condition, last_condition)
      join mobeye.incident_condition c
        on c.condition between f.first_condition and f.last_condition and c.active;
end
$$;
comment on function mobeye.read_conditions(uuid[], uuid[], uuid[]) is
    'Returns the conditions of alerts, and the active ones of a device and kind. After read_incidents(), in the same statement.';

create or replace function mobeye.teams_of(placements bigint[], areas text[]) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return array(
        select coalesce(
                   (select p.team from mobeye.placement p where p.placement_id = n.placement_id),
                   (select t.team
                      from unnest(string_to_array(n.areas, e'\x1f')) with ordinality as a (name, place)
                      join mobeye.team_area t on t.layer = split_part(a.name, ':', 1)
                                             and t.code = substr(a.name, strpos(a.name, ':') + 1)
                     order by a.place, t.team limit 1))
          from unnest(placements, areas) with ordinality as n (placement_id, areas, nth)
         order by n.nth);
end
$$;
comment on function mobeye.teams_of(bigint[], text[]) is
    'The teams of incidents whose rule names none: of each placement, else that of the first of its areas.';

-- The incidents that read_incidents() returned (old_...), new ones (new_...), and the conditions of both (condition_...;
-- condition_incident is an incident_id, or minus the position of a new incident, from 1). Returns the ids of the new
-- incidents, which are in the order of their keys: a consistent lock order, so that concurrent daemons cannot deadlock.
-- ..._verified: by a second input, in this batch. ..._closes: a service incident without any active condition left.
-- old_unmuted: when a mute that lasts until it is restored ended because this batch left none of its conditions active; null if
-- none did.
-- ..._secret: the first secret placement among the alerts of this batch, null if there is none; ..._several_teams: there are
-- others, of other teams. A null geom leaves geom, accuracy, source, areas and placement as they are. ..._extent: of
-- the places of the raises of this batch. areas are 'layer:code', separated by U+001F. A "fresh" condition did not exist when
-- it was read: if it exists by now, another daemon has inserted it, which is a unique violation, as for an accepting key. A
-- condition without an id belongs to a device that joined an incident begun by another one, and has since joined a later one.
-- The names and types of the parameters are also in daemon/store/store_incidents.def, from which the daemon calls it.
create or replace function mobeye.store_incidents(
    rules uuid,
    old_id bigint[], old_accepting boolean[], old_urgent boolean[], old_verified boolean[], old_closes boolean[],
    old_several_teams boolean[], old_priority integer[], old_first timestamptz[], old_last timestamptz[],
    old_first_received timestamptz[], old_received timestamptz[], old_restored timestamptz[],
    old_restore_received timestamptz[], old_cancelled timestamptz[], old_alerts integer[],
    old_active integer[], old_flaps integer[], old_geom bytea[], old_accuracy real[], old_source text[],
    old_areas text[], old_placement bigint[], old_device_placement bigint[], old_secret bigint[], old_extent box[], old_unmuted timestamptz[],
    new_key uuid[], new_accepting boolean[], new_urgent boolean[], new_verified boolean[], new_closes boolean[], new_several_teams boolean[],
    new_priority integer[], new_first timestamptz[], new_last timestamptz[], new_first_received timestamptz[],
    new_received timestamptz[], new_restored timestamptz[], new_restore_received timestamptz[], new_cancelled timestamptz[], new_alerts integer[], new_active integer[],
    new_flaps integer[], new_geom bytea[], new_accuracy real[], new_source text[], new_areas text[],
    new_placement bigint[], new_device_placement bigint[], new_secret bigint[], new_extent box[], new_drill boolean[],
    new_category text[], new_kind text[], new_device text[], new_rule text[], new_team text[], new_gap interval[], new_max_age interval[],
    new_settle interval[], new_overdue text[], new_moved_over real[], new_verify_within interval[],
    new_verify_radius real[], new_verify_priority integer[], new_previous bigint[], condition_id uuid[],
    condition_incident bigint[], condition_active boolean[], condition_since timestamptz[], condition_device text[],
    condition_input integer[], condition_fresh boolean[])
returns bigint[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- One plan, whatever the statistics say: a few index look-ups per alert of the batch.
set enable_seqscan = off -- the tables are empty on the first day and large soon after
set enable_hashjoin = off -- would read a whole table
set enable_mergejoin = off -- likewise
set enable_material = off -- likewise, for a nested loop
set enable_bitmapscan = off -- each look-up returns few rows, in order
set max_parallel_workers_per_gather = 0 -- starting a worker takes longer than the statement
set jit = off -- compiling takes longer than the statement
set plan_cache_mode = force_generic_plan -- planning for each batch takes longer than the statement
as $$
declare
    new_id bigint[];
begin
    if array_remove(old_secret, null) <> '{}' then
        insert into mobeye.incident_history (incident_id, at, actor, action)
        select n.id, clock_timestamp(), 'mobeyed', 'hide'
          from unnest(old_id, old_secret) as n (id, secret_placement_id)
         where n.secret_placement_id is not null and mobeye.is_revealed(n.id);
    end if;
    if cardinality(old_id) > 0 then
        update mobeye.incident i
           set accepting = n.accepting and i.status <> 'closed', urgent = n.urgent, priority = n.priority,
               verified_by = coalesce(i.verified_by, case when n.verified then 'second_input' end),
               stored_at = now(), first_seen = n.first_seen, last_seen = n.last_seen,
               first_received_at = least(i.first_received_at, n.first_received_at),
               last_received_at = n.last_received_at, restored_at = n.restored_at, cancelled_at = n.cancelled_at,
               restore_received_at = coalesce(n.restore_received_at, i.restore_received_at),
               alert_count = n.alert_count, active = n.active, flaps = n.flaps,
               geom = case when n.geom is null then i.geom else public.st_geomfromewkb(n.geom) end,
               accuracy_m = case when n.geom is null then i.accuracy_m else n.accuracy_m end,
               location_source = case when n.geom is null then i.location_source else n.location_source end,
               areas = case when n.geom is null or n.areas is null then i.areas
                       else string_to_array(n.areas, e'\x1f') end,
               placement_id = case when n.geom is null then i.placement_id else n.placement_id end,
               device_placement_id = coalesce(n.device_placement_id, i.device_placement_id),
               extent = coalesce(bound_box(i.extent, n.extent), i.extent, n.extent),
               secret = i.secret or n.secret_placement_id is not null,
               secret_team = case
                   when n.secret_placement_id is null then i.secret_team
                   when not n.several_teams then (select p.team from mobeye.placement p
                                                where p.placement_id = n.secret_placement_id
                                                  and (not i.secret or p.team = i.secret_team)) end,
               cell = case when n.secret_placement_id is null or i.secret then i.cell
                           else (select p.cell from mobeye.placement p
                                  where p.placement_id = n.secret_placement_id) end
          from unnest(old_id, old_accepting, old_urgent, old_verified, old_closes, old_several_teams, old_priority,
                      old_first, old_last, old_first_received, old_received, old_restored, old_restore_received, old_cancelled,
                      old_alerts, old_active, old_flaps, old_geom, old_accuracy, old_source, old_areas, old_placement, old_device_placement,
                      old_secret, old_extent)
               as n (incident_id, accepting, urgent, verified, closes, several_teams, priority, first_seen,
                     last_seen, first_received_at, last_received_at, restored_at, restore_received_at, cancelled_at,
                     alert_count, active, flaps, geom, accuracy_m, location_source, areas, placement_id, device_placement_id, secret_placement_id,
                     extent)
         where i.incident_id = n.incident_id;
    end if;
    if array_remove(old_unmuted, null) <> '{}' then
        perform mobeye.end_mutes_of(old_id, old_unmuted);
    end if;

    if cardinality(new_key) > 0 then
        new_id := array(select nextval('mobeye.incident_id') from generate_series(1, cardinality(new_key)));
        insert into mobeye.incident (
            incident_id, incident_key, accepting, urgent, drill, category, verified_by, priority, first_seen,
            last_seen, last_received_at, restored_at, cancelled_at, alert_count, active, flaps, geom, accuracy_m,
            location_source, areas, placement_id, device_placement_id, extent, kind, device_id, rule, rules, team, gap, max_age, settle, overdue,
            moved_over_m, verify_within, verify_radius_m, verify_priority, previous_id, delayed, secret, secret_team,
            cell, restore_received_at, first_received_at)
        select n.incident_id, n.incident_key, n.accepting, n.urgent, n.drill, n.category,
               case when n.verified then 'second_input' end, n.priority, n.first_seen, n.last_seen,
               n.last_received_at, n.restored_at, n.cancelled_at, n.alert_count, n.active, n.flaps,
               public.st_geomfromewkb(n.geom), n.accuracy_m, n.location_source,
               coalesce(string_to_array(n.areas, e'\x1f'), '{}'), n.placement_id, n.device_placement_id, n.extent, n.kind,
               n.device_id, n.rule,
               store_incidents.rules,
               coalesce((select t.team from mobeye.team t where t.team = n.team), n.team_of_place),
               n.gap, n.max_age, n.settle, n.overdue::interval[], n.moved_over_m, n.verify_within, n.verify_radius_m,
               n.verify_priority, n.previous_id, now() > n.first_seen + interval '5 minutes',
               n.secret_placement_id is not null,
               case when n.secret_placement_id is not null and not n.several_teams
                    then (select p.team from mobeye.placement p where p.placement_id = n.secret_placement_id) end,
               case when n.secret_placement_id is not null
                    then (select p.cell from mobeye.placement p where p.placement_id = n.secret_placement_id) end,
               n.restore_received_at, n.first_received_at
          from unnest(new_id, new_key, new_accepting, new_urgent, new_verified, new_closes, new_several_teams,
                      new_priority, new_first, new_last, new_first_received, new_received, new_restored, new_restore_received,
                      new_cancelled, new_alerts, new_active, new_flaps, new_geom, new_accuracy, new_source, new_areas, new_placement,
                      new_device_placement, new_secret, new_extent, new_drill, new_category, new_kind, new_device, new_rule, new_team, new_gap,
                      new_max_age, new_settle, new_overdue, new_moved_over, new_verify_within, new_verify_radius,
                      new_verify_priority, new_previous, mobeye.teams_of(new_placement, new_areas))
               as n (incident_id, incident_key, accepting, urgent, verified, closes, several_teams, priority,
                     first_seen, last_seen, first_received_at, last_received_at, restored_at, restore_received_at,
                     cancelled_at, alert_count, active, flaps, geom, accuracy_m, location_source, areas, placement_id, device_placement_id,
                     secret_placement_id, extent, drill, category,
                     kind, device_id, rule, team, gap, max_age, settle, overdue, moved_over_m, verify_within,
                     verify_radius_m, verify_priority, previous_id, team_of_place);
    end if;

    if cardinality(condition_id) > 0 then
        insert into mobeye.incident_condition as t (condition, incident_id, active, since, device_id, input)
        select n.condition, case when n.incident_id < 0 then new_id[-n.incident_id] else n.incident_id end, n.active,
               n.since, n.device_id, n.input
          from unnest(condition_id, condition_incident, condition_active, condition_since, condition_device, condition_input,
                      condition_fresh)
               as n (condition, incident_id, active, since, device_id, input, fresh)
         where n.fresh and n.condition is not null;
        -- Once for each incident and device, however many alerts say so.
        insert into mobeye.incident_condition as t (condition, incident_id, active, since, device_id, input)
        select md5(concat_ws(' ', d.id, d.device_id))::uuid, d.id, false, d.since, d.device_id, null
          from (select case when n.incident_id < 0 then new_id[-n.incident_id] else n.incident_id end as id, n.since, n.device_id
                  from unnest(condition_id, condition_incident, condition_since, condition_device)
                       as n (condition, incident_id, since, device_id)
                 where n.condition is null) d
            on conflict (condition) do nothing;
        insert into mobeye.incident_condition as t (condition, incident_id, active, since, device_id, input)
        select n.condition, case when n.incident_id < 0 then new_id[-n.incident_id] else n.incident_id end, n.active,
               n.since, n.device_id, n.input
          from unnest(condition_id, condition_incident, condition_active, condition_since, condition_device, condition_input,
                      condition_fresh)
               as n (condition, incident_id, active, since, device_id, input, fresh)
         where not n.fresh
            on conflict (condition) do update
           set incident_id = excluded.incident_id, active = excluded.active, since = excluded.since;
    end if;

    perform mobeye.close_incident(i.incident_id, 'restored', add_change => false)
       from unnest(old_id || new_id, old_closes || new_closes) as n (id, closes)
       join mobeye.incident i on i.incident_id = n.id
      where n.closes;
    insert into mobeye.incident_history (incident_id, at, actor, action, note)
    select n.id, clock_timestamp(), 'mobeyed', 'verified', 'second_input'
      from unnest(old_id || new_id, old_verified || new_verified) as n (id, verified)
     where n.verified;
    return coalesce(new_id, '{}');
end
$$;
comment on function mobeye.store_incidents is
    'Stores what the alerts of a batch changed in incidents; returns the ids of the new ones. For the daemon alone.';

create or replace function mobeye.store_ruleset(rules uuid, text text, instance text) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into mobeye.ruleset (rules, text, instance) values (rules, text, instance) on conflict do nothing
$$;
comment on function mobeye.store_ruleset(uuid, text, text) is 'Stores the text of the rules that a daemon applies.';
