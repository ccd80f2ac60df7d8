-- Partitions of mobeye.alert and mobeye.snapshot: created ahead, found by their bounds.

create or replace function mobeye.lock_partitions() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ select from mobeye.mutex where name = 'partitions' for update $$;
comment on function mobeye.lock_partitions() is 'Waits until no other session creates or drops partitions, and locks others out until the transaction ends.';

create or replace function mobeye.partitioned_table(class text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select case class when 'images' then 'snapshot' else 'alert_' || class end $$;
comment on function mobeye.partitioned_table(text) is 'The table that holds a class of alerts, or the images.';

-- Bounds are in UTC, whatever the time zone of the session. Where alerts wait for them, one that was detached is passed over: the
-- daemon quarantines what it could not hold, and the others are still created.
create or replace function mobeye.make_partitions(class text, from_at timestamptz, until_at timestamptz, ahead boolean default false)
returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
    parent text := mobeye.partitioned_table(class);
    unit text := case when class in ('camera', 'images') then 'day' when class in ('alarm', 'service') then 'month' end;
    suffix text := case unit when 'day' then 'YYYYMMDD' else 'YYYYMM' end;
    lower_end timestamptz := date_trunc(unit, from_at);
    upper_end timestamptz;
    partition text;
begin
    if unit is null then
        raise exception 'class "%" of alerts does not exist', class
            using errcode = 'invalid_parameter_value', hint = 'Expected alarm, camera, service or images.';
    end if;
    if (from_at < until_at and from_at >= '1970-01-01' and until_at <= from_at + interval '400 days') is not true then
        raise exception 'period % to % is not valid for partitions', from_at, until_at
            using errcode = 'invalid_parameter_value', hint = 'Expected at most 400 days, from 1970 on.';
    end if;
    perform mobeye.lock_partitions();
    while lower_end < until_at loop
        upper_end := lower_end + ('1 ' || unit)::interval;
        partition := parent || '_' || to_char(lower_end, suffix);
        if to_regclass('mobeye.' || partition) is null then
            -- Created separately and then attached: neither inserts nor this function wait for the other.
            execute format('create table mobeye.%I (like mobeye.%I including defaults including constraints including generated including storage)', partition, parent);
            execute format('alter table mobeye.%I attach partition mobeye.%I for values from (%L) to (%L)',
                           parent, partition, lower_end, upper_end);
        elsif ahead and not exists (select from pg_inherits i where i.inhrelid = to_regclass('mobeye.' || partition)) then
            raise exception 'mobeye.% is not attached: %', partition,
                            format('alter table mobeye.%I attach partition mobeye.%I for values from (%L) to (%L)',
                                   parent, partition, lower_end, upper_end)
                using errcode = 'integrity_constraint_violation';
        end if;
        lower_end := upper_end;
    end loop;
    return lower_end;
end
$$;
comment on function mobeye.make_partitions(text, timestamptz, timestamptz, boolean) is
    'Creates the missing partitions of a class of alerts, or of the images, between two times; returns the end of the last one. '
    'ahead: refuses, with how to attach it, if one was detached.';

create or replace function mobeye.premake_partitions(camera interval default '28 days', alarm interval default '31 days',
                                                     service interval default '31 days') returns timestamptz
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    -- A day of camera alerts, or of images, is dropped when its start is past its retention, a month of other alerts when its
    -- end is.
    select min(mobeye.make_partitions(k.class, now() - least(k.keep, interval '31 days'), now() + interval '7 days', ahead => true))
      from (values ('camera', camera - interval '1 day'), ('images', camera - interval '1 day'), ('alarm', alarm),
                   ('service', service)) as k(class, keep)
$$;
comment on function mobeye.premake_partitions(interval, interval, interval) is
    'Creates the partitions from as far back as each class is kept, at most 31 days, to a week ahead; returns the time until '
    'which alerts of every class and images can be stored.';

-- Materialized: the planner must not move the casts into a condition that it evaluates for other tables as well, whose
-- bounds would fail to cast.
create or replace function mobeye.partitions_of(class text)
returns table (partition regclass, lower_end timestamptz, upper_end timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
    with child as materialized (
        select c.oid, pg_get_expr(c.relpartbound, c.oid) as bound
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = to_regclass('mobeye.' || mobeye.partitioned_table(class)))
    select oid::regclass, substring(bound from 'FROM [(]''([^'']*)''[)]')::timestamptz,
           substring(bound from 'TO [(]''([^'']*)''[)]')::timestamptz
      from child
$$;
comment on function mobeye.partitions_of(text) is
    'The partitions of a class of alerts, or of the images, and their bounds as PostgreSQL knows them; the end is excluded.';
