-- Import of devices, their addresses and placements, in the same steps as areas (import_areas.sql).

create or replace function mobeye.stage_devices() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    create temporary table device_import (
        line bigint,
        device_id text collate "C",
        model text,
        "group" text,
        account text,
        input integer,
        heartbeat interval,
        grace interval,
        placed_from timestamptz,
        placed_until timestamptz,
        address text,
        lon float8,
        lat float8,
        rd_x float8, -- EPSG:28992
        rd_y float8,
        team text,
        secret boolean,
        instructions text,
        geom public.geometry(point, 4326), -- set by locate_devices(), as are during and home
        during tstzrange,
        home text -- the address in the form in which addresses are compared; null: not known
    ) on commit drop
$$;
comment on function mobeye.stage_devices() is 'Creates the temporary table device_import for one transaction.';

create or replace function mobeye.plain_address(address text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select nullif(btrim(regexp_replace(lower(address), '[\s\u00a0,]+', ' ', 'g')), '') $$;
comment on function mobeye.plain_address(text) is 'An address without case, commas and repeated spaces, as addresses are compared.';

create or replace function mobeye.locate_devices(columns text[]) returns void
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    create index on pg_temp.device_import (device_id);
    create index on pg_temp.device_import (ltrim(account, '0')); -- as check_devices() compares them
    update pg_temp.device_import
       set geom = case when lon is not null then st_setsrid(st_makepoint(lon, lat), 4326)
                       else st_transform(st_setsrid(st_makepoint(rd_x, rd_y), 28992), 4326) end,
           home = mobeye.plain_address(address)
     where lon is not null or rd_x is not null;
    -- Without a column of inputs: the stored input; of several, one of that account if there is one, else the one exported first.
    if not 'input' = any (columns) then
        update pg_temp.device_import i
           set input = (select a.input from mobeye.device_address a where a.device_id = i.device_id
                         order by ltrim(a.account, '0') <> ltrim(i.account, '0'), a.account, a.input nulls first limit 1)
         where i.account is not null;
    end if;
    -- Without a start: the start of the current placement if it is at the same place, else now. Without a column of ends: the
    -- end of the stored placement.
    update pg_temp.device_import i
       set during = tstzrange(s.start,
               case when 'placed_until' = any (columns) then i.placed_until
                    else (select upper(p.during) from mobeye.placement p
                           where p.device_id = i.device_id and lower(p.during) = s.start) end)
      from (select f.line, coalesce(f.placed_from,
                                    (select lower(p.during) from mobeye.placement p
                                      where p.device_id = f.device_id
                                        and hashtextextended(p.device_id, 0) = hashtextextended(f.device_id, 0) -- as indexed
                                        and lower(p.during) <= now() and p.during @> now() and p.geom = f.geom),
                                    now()) as start
              from pg_temp.device_import f) s
     where s.line = i.line and i.geom is not null
       and (i.placed_until is null or i.placed_until > coalesce(i.placed_from, now()));
    analyze pg_temp.device_import;
end
$$;
comment on function mobeye.locate_devices(text[]) is
    'Sets the input of the accounts, and the place and the period of the placements in device_import, if the file has these columns.';

-- A device is in one place at a time.
create or replace function mobeye.overlapping_rows(columns text[])
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql stable
set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select r.line, false, 'placed_from'::text,
           format('device %s has an overlapping placement on line %s%s', r.device_id, o.line,
                  case when upper_inf(o.during) and lower(o.during) < lower(r.during)
                       then to_char(lower(r.during) at time zone 'UTC', '" (expected placed_until there, not after "YYYY-MM-DD"T"HH24:MI:SS"Z)"')
                       when not 'placed_until' = any (columns)
                       then to_char(upper(o.during) at time zone 'UTC', '", which is stored until "YYYY-MM-DD"T"HH24:MI:SS"Z"') end)
      from (select i.line, i.device_id, i.during,
                   max(coalesce(upper(i.during), 'infinity')) over (w rows between unbounded preceding and 1 preceding) as until
              from pg_temp.device_import i where i.during is not null
            window w as (partition by i.device_id order by lower(i.during), i.line)) r
     cross join lateral (select e.line, e.during from pg_temp.device_import e
                          where e.device_id = r.device_id and e.during && r.during and (lower(e.during), e.line) < (lower(r.during), r.line)
                          order by lower(e.during) desc, e.line desc limit 1) o
     where r.until > lower(r.during);
end
$$;
comment on function mobeye.overlapping_rows(text[]) is 'Diagnostics of check_devices() about placements of device_import that overlap.';

create or replace function mobeye.erased_rows()
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select i.line, true, 'placed_from'::text, format('the placement of %s from then was erased on %s and is imported again', i.device_id, e.erased_on)
      from pg_temp.device_import i cross join lateral (select mobeye.placement_erased_on(i.device_id, lower(i.during)) as erased_on) e
     where e.erased_on is not null
       and not exists (select from mobeye.placement p
                        where p.device_id = i.device_id and lower(p.during) = lower(i.during) and num_nonnulls(p.address, p.bag_id, p.instructions) > 0);
end
$$;
comment on function mobeye.erased_rows() is 'Warnings of check_devices() about placements of device_import that were erased before.';

-- A home stays secret until a file says no: saying nothing changes nothing. A stored placement keeps its secrecy, and then its
-- team too. Another one takes over both from a secret placement, in three ways; the first that applies gives the team:
-- 1. a new one, from a secret one of its device that is at most 50 m away, or that it ends or continues (unless both have addresses that differ);
-- 2. one that is new, or moves to another place, from one that has its address;
-- 3. likewise, from one at its point (within 1 m: metres in RD New), unless another placement has its address: flats may have
--    the same point.
-- Rows can depend on each other.
create or replace function mobeye.keep_secrecy(columns text[])
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if not exists (select from mobeye.placement p where p.secret union all select from pg_temp.device_import i where i.secret)
       or not exists (select from pg_temp.device_import i where i.during is not null and (i.secret and i.team is not null) is not true
                         and i.secret is distinct from false) then
        return;
    end if;
    create index on pg_temp.device_import using gist ((geom::geography));
    return query
    select i.line, true, case when 'secret' = any (columns) then 'secret' else 'team' end,
           format('is empty, but the placement stays secret%s (secret: no makes it plain)', ', of team ' || coalesce(i.team, p.team))
      from pg_temp.device_import i join mobeye.placement p on p.device_id = i.device_id and lower(p.during) = lower(i.during)
     where p.secret and i.secret is null
       and ('secret' = any (columns) or 'team' = any (columns) and i.team is null and p.team is not null);
    update pg_temp.device_import i
       set secret = true, team = coalesce(i.team, p.team)
      from mobeye.placement p
     where p.device_id = i.device_id and lower(p.during) = lower(i.during) and p.secret and i.secret is null;

    loop
        return query
        with hidden as (
            select p.device_id, coalesce(f.during, p.during) as during, p.geom, mobeye.plain_address(p.address) as home, p.team,
                   true as stored
              from mobeye.placement p
              left join pg_temp.device_import f on f.device_id = p.device_id and lower(f.during) = lower(p.during)
             where p.secret and f.secret is distinct from false
            union all
            select f.device_id, f.during, f.geom, f.home, f.team, false from pg_temp.device_import f where f.secret
        ), known as (
            select p.device_id, lower(p.during) as since, mobeye.plain_address(p.address) as home
              from mobeye.placement p where p.address is not null
        ), undecided as (
            select i.*, p.geom as stored_geom, mobeye.plain_address(p.address) as stored_home, p.placement_id is null as new
              from pg_temp.device_import i
              left join mobeye.placement p on p.device_id = i.device_id and lower(p.during) = lower(i.during)
             where i.during is not null
               and (i.secret is null or i.secret and i.team is null and p.placement_id is null and not 'team' = any (columns))
        ), same as (
            select u.line, 1 as rank, h.team, h.during
              from undecided u join hidden h on h.device_id = u.device_id
             where u.new
               and (st_dwithin(u.geom::geography, h.geom::geography, 50)
                    or (u.home is null or h.home is null or u.home = h.home)
                       and lower(h.during) < lower(u.during) and coalesce(upper(h.during), 'infinity') >= lower(u.during)
                       and not exists (select from pg_temp.device_import b
                                        where b.device_id = u.device_id and lower(b.during) > lower(h.during)
                                          and lower(b.during) < lower(u.during)))
            union all
            select u.line, 2, h.team, h.during
              from undecided u join hidden h on h.home = u.home
             where u.new or u.stored_home is distinct from h.home and not st_dwithin(u.stored_geom::geography, h.geom::geography, 1)
            union all
            select i.line, 3, h.team, h.during
              from hidden h
              join pg_temp.device_import i on st_dwithin(i.geom::geography, h.geom::geography, 1)
              join undecided u on u.line = i.line
             where (h.stored or u.home is null)
               and not exists (select from known k
                                where k.home = u.home and (k.device_id <> u.device_id or k.since <> lower(u.during)))
               and (u.new or u.stored_home is distinct from h.home and not st_dwithin(u.stored_geom::geography, h.geom::geography, 1))
        ), taken as (
            select distinct on (s.line) s.*, i.secret as said
              from same s join pg_temp.device_import i on i.line = s.line
             where i.secret is null or s.team is not null
             order by s.line, s.rank, lower(s.during) desc, s.team
        )
        update pg_temp.device_import i
           set secret = true, team = coalesce(i.team, t.team)
          from taken t where t.line = i.line
        returning i.line, true, case when t.said then 'team' else 'secret' end,
                  format('%s is secret%s; this one is too (set secret to no if it is not)',
                         case when t.rank = 1 then 'the placement of the device before' else 'the placement there' end,
                         ', of team ' || t.team);
        exit when not found;
    end loop;

    return query
    select distinct i.line, true, 'secret'::text,
           'the placement of the device before is secret; this one, at another address, is not (set secret to yes if it is)'::text
      from pg_temp.device_import i join mobeye.placement p on p.device_id = i.device_id
     where p.secret and i.secret is null and lower(p.during) < lower(i.during) and coalesce(upper(p.during), 'infinity') >= lower(i.during)
       and not exists (select from mobeye.placement s where s.device_id = i.device_id and lower(s.during) = lower(i.during));
end
$$;
comment on function mobeye.keep_secrecy(text[]) is
    'Makes the placements of device_import secret that the file does not say are not, and that are at a secret home; returns warnings.';

create or replace function mobeye.address_rows(columns text[])
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return query -- an address belongs to one device
    select i.line, false, 'account'::text, format('account %s%s belongs to device %s%s', i.account,
                                                  ' input ' || i.input, o.device_id, ' on line ' || o.line)
      from pg_temp.device_import i
      cross join lateral (
            select f.device_id, f.line from pg_temp.device_import f
             where ltrim(f.account, '0') = ltrim(i.account, '0') and f.input is not distinct from i.input and f.line < i.line
               and f.device_id <> i.device_id
             union all
            select a.device_id, null from mobeye.device_address a
             where ltrim(a.account, '0') = ltrim(i.account, '0') and a.input is not distinct from i.input
               and a.device_id <> i.device_id
               and not exists (select from pg_temp.device_import f
                                where f.device_id = a.device_id
                                  and ('input' = any (columns)
                                       or not exists (select from pg_temp.device_import g
                                                       where g.device_id = a.device_id and ltrim(g.account, '0') = ltrim(a.account, '0'))))
             limit 1) o
     where i.account is not null;

    return query -- only the first of them would get the new account
    select i.line, false, 'account'::text,
           format('device %s has several inputs (expected a column input, or the account changed in QGIS)', i.device_id)
      from pg_temp.device_import i
     where i.account is not null and not 'input' = any (columns)
       and (select count(*) > 1 and bool_and(ltrim(a.account, '0') <> ltrim(i.account, '0'))
              from mobeye.device_address a where a.device_id = i.device_id);
end
$$;
comment on function mobeye.address_rows(text[]) is
    'Diagnostics of check_devices() about accounts of device_import that belong to another device, or with several inputs of one device.';

create or replace function mobeye.check_devices(bounds float8[], columns text[])
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform mobeye.lock_imports();
    perform mobeye.locate_devices(columns);
    return query select k.* from mobeye.keep_secrecy(columns) k;

    return query -- the rows of a device agree
    select r.line, false, r.name, format('device %s has "%s" on line %s and "%s" here (expected the same in all rows of a device)',
                                         r.device_id, r.first_value, r.first_line, r.value)
      from (select i.line, i.device_id, c.name, c.value, first_value(i.line) over w as first_line,
                   first_value(c.value) over w as first_value
              from pg_temp.device_import i,
                   lateral (values ('model', i.model), ('group', i."group"), ('account', ltrim(i.account, '0')),
                                   ('input', i.input::text), ('heartbeat', i.heartbeat::text),
                                   ('grace', i.grace::text)) as c(name, value)
             where c.value is not null
            window w as (partition by i.device_id, c.name order by i.line)) r
     where r.value <> r.first_value;


    return query select a.* from mobeye.address_rows(columns) a;
    return query -- a spreadsheet drops leading zeros
    select i.line, true, 'account'::text,
           format('%s has fewer digits than %s on line %s (a spreadsheet drops leading zeros; accounts are compared '
                  'without them)', i.account, l.account, l.line)
      from pg_temp.device_import i,
           (select f.account, f.line from pg_temp.device_import f
             where f.account ~ '^[0-9]+$' order by length(f.account) desc, f.line limit 1) l
     where i.account ~ '^[1-9][0-9]*$' and length(i.account) < length(l.account)
     order by i.line limit 1;

    return query select o.* from mobeye.overlapping_rows(columns) o;
    return query select e.* from mobeye.erased_rows() e;
    return query
    select i.line, false, 'placed_from'::text,
           format('device %s is already placed from %s until %s (end or correct that placement first: '
                  'mobeyectl device retrieve, QGIS)', i.device_id,
                  to_char(lower(p.during) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                  coalesce(to_char(upper(p.during) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'further notice'))
      from pg_temp.device_import i
      join mobeye.placement p on p.device_id = i.device_id and p.during && i.during
     where not exists (select from pg_temp.device_import f
                        where f.device_id = p.device_id and lower(f.during) = lower(p.during))
       and not (upper_inf(p.during) and lower(p.during) < lower(i.during));

    return query
    select i.line, false, 'placed_until'::text, 'is in the past (placed_from is missing, so the placement would begin now)'
      from pg_temp.device_import i where i.geom is not null and i.during is null;
    return query
    select i.line, false, 'device_id'::text,
           format('device %s cannot be placed in state "%s" (set it to "stock" first)', i.device_id, d.state)
      from pg_temp.device_import i join mobeye.device d using (device_id)
     where d.state in ('repair', 'retired') and (upper_inf(i.during) or upper(i.during) > now());
    return query
    select i.line, false, v.column_name, format('is %s (expected %s)', v.what, v.expected)
      from pg_temp.device_import i
     cross join lateral (values
         ('heartbeat', i.heartbeat not between '1 microsecond' and '366 days', 'not a valid interval', 'at most 366d'),
         ('grace', i.grace not between '0' and '366 days', 'not a valid interval', 'at most 366d'),
         ('model', length(i.model) > 200 or i.model ~ '[[:cntrl:]]', 'too long or has control characters', 'at most 200 characters'),
         ('group', length(i."group") > 64 or i."group" ~ '[[:cntrl:]]', 'too long or has control characters',
          'at most 64 characters'),
         ('address', length(i.address) > 400, 'too long', 'at most 400 characters'),
         ('instructions', length(i.instructions) > 4000, 'too long', 'at most 4000 characters'))
         as v (column_name, wrong, what, expected)
     where v.wrong;
    return query
    select i.line, false, 'team'::text,
           format('team "%s" does not exist (%s)', i.team, coalesce('did you mean ' || t.meant || '?', 'add it with mobeyectl teams import'))
      from pg_temp.device_import i
      join mobeye.unknown_teams((select array_agg(distinct d.team) from pg_temp.device_import d)) t on t.team = i.team;
    return query
    select p.line, false, p.name, p.why
      from (select i.line, case when i.lon is null then 'rd_x' else 'lon' end as name,
                   mobeye.implausible(i.geom, bounds) as why from pg_temp.device_import i) p where p.why is not null;
end
$$;
comment on function mobeye.check_devices(float8[], text[]) is
    'Checks device_import; merge_devices() accepts it if there are only warnings.';

create or replace function mobeye.merge_devices(columns text[])
returns table (devices bigint, devices_added bigint, devices_changed bigint, addresses_changed bigint,
               placements_added bigint, placements_changed bigint)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    n bigint;
begin
    select count(distinct device_id) into devices from pg_temp.device_import;

    create temporary table device_merge on commit drop as
    select device_id, min(model) as model, min("group") as "group", min(account) as account, min(input) as input,
           min(heartbeat) as heartbeat, coalesce(min(grace), '0') as grace
      from pg_temp.device_import group by device_id;
    analyze pg_temp.device_merge;
    update mobeye.device d
       set model = case when 'model' = any (columns) then m.model else d.model end,
           device_group = case when 'group' = any (columns) then m."group" else d.device_group end,
           heartbeat = case when 'heartbeat' = any (columns) then m.heartbeat else d.heartbeat end,
           grace = case when 'grace' = any (columns) then m.grace else d.grace end
      from pg_temp.device_merge m
     where d.device_id = m.device_id
       and ('model' = any (columns) and d.model is distinct from m.model
            or 'group' = any (columns) and d.device_group is distinct from m."group"
            or 'heartbeat' = any (columns) and d.heartbeat is distinct from m.heartbeat
            or 'grace' = any (columns) and d.grace <> m.grace);
    get diagnostics devices_changed = row_count;
    insert into mobeye.device (device_id, model, device_group, heartbeat, grace)
    select m.device_id, m.model, m."group", m.heartbeat, m.grace from pg_temp.device_merge m
     where not exists (select from mobeye.device d where d.device_id = m.device_id);
    get diagnostics devices_added = row_count;

    addresses_changed := 0;
    if 'account' = any (columns) then
        delete from mobeye.device_address a using pg_temp.device_merge m
         where a.device_id = m.device_id
           and (ltrim(a.account, '0') is distinct from ltrim(m.account, '0')
                or 'input' = any (columns) and a.input is distinct from m.input);
        get diagnostics addresses_changed = row_count;
        insert into mobeye.device_address (account, input, device_id)
        select m.account, m.input, m.device_id from pg_temp.device_merge m
         where m.account is not null
           and not exists (select from mobeye.device_address a
                            where ltrim(a.account, '0') = ltrim(m.account, '0') and a.input is not distinct from m.input);
        get diagnostics n = row_count;
        addresses_changed := greatest(addresses_changed, n);
    end if;

    -- open-ended placements end where the next one begins
    create temporary table placement_ended (placement_id bigint, device_id text collate "C", at timestamptz) on commit drop;
    with ended as (
    update mobeye.placement p
       set during = tstzrange(lower(p.during), i.next)
      from (select q.placement_id, min(lower(f.during)) as next
              from mobeye.placement q
              join pg_temp.device_import f on f.device_id = q.device_id and lower(f.during) > lower(q.during)
             where upper_inf(q.during)
               and not exists (select from pg_temp.device_import e
                                where e.device_id = q.device_id and lower(e.during) = lower(q.during))
             group by q.placement_id) i
     where p.placement_id = i.placement_id
    returning p.placement_id, p.device_id, i.next)
    insert into pg_temp.placement_ended select * from ended;
    get diagnostics placements_changed = row_count;
    update mobeye.placement p
       set during = i.during, geom = i.geom,
           address = case when 'address' = any (columns) then i.address else p.address end,
           team = case when 'team' = any (columns) then i.team else coalesce(i.team, p.team) end,
           secret = coalesce(i.secret, p.secret),
           instructions = case when 'instructions' = any (columns) then i.instructions else p.instructions end
      from pg_temp.device_import i
     where p.device_id = i.device_id and lower(p.during) = lower(i.during)
       and (p.during <> i.during or p.geom is distinct from i.geom
            or 'address' = any (columns) and p.address is distinct from i.address
            or ('team' = any (columns) or i.team is not null) and p.team is distinct from i.team
            or p.secret <> i.secret
            or 'instructions' = any (columns) and p.instructions is distinct from i.instructions);
    get diagnostics n = row_count;
    placements_changed := placements_changed + n;
    insert into mobeye.placement (device_id, during, geom, address, team, secret, instructions, moved_from)
    select i.device_id, i.during, i.geom, i.address, i.team, coalesce(i.secret, false), i.instructions,
           (select e.placement_id from pg_temp.placement_ended e where e.device_id = i.device_id and e.at = lower(i.during))
      from pg_temp.device_import i
     where i.during is not null
       and not exists (select from mobeye.placement p
                        where p.device_id = i.device_id and lower(p.during) = lower(i.during))
     order by lower(i.during); -- device_undo() takes back the latest first
    get diagnostics placements_added = row_count;
    drop table pg_temp.device_merge, pg_temp.placement_ended;
    return next;
end
$$;
comment on function mobeye.merge_devices(text[]) is
    'Applies device_import to devices, addresses and placements: every column that the file has, empty cells included; other '
    'columns stay. Returns the number of devices in the file, and of rows added and changed.';
