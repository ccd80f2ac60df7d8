-- Identities of stored alerts: those of earlier periods, conflicts, and the change of period.

-- One plan, whatever the statistics say: a look-up each in the index of one partition.
create or replace function mobeye.stored_before(ids uuid[], periods integer[]) returns setof integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off -- reading a whole period takes longer than a batch may
set enable_hashjoin = off -- likewise
set enable_mergejoin = off -- likewise
set enable_material = off -- likewise, for a nested loop
set enable_bitmapscan = off -- each look-up returns one row
set max_parallel_workers_per_gather = 0 -- starting a worker takes longer than the statement
set jit = off -- compiling takes longer than the statement
set plan_cache_mode = force_generic_plan -- planning for each batch takes longer than the statement
as $$
begin
    return query
    select s.n::integer
      from unnest(ids, periods) with ordinality as s (id, period, n)
     cross join lateral (select from mobeye.alert_identity a where a.id = s.id and a.period = s.period limit 1) as stored;
end
$$;
comment on function mobeye.stored_before(uuid[], integer[]) is
    'The positions in the arrays of those identities that are stored in the period given with each.';

-- Consistent lock order: new identities of alerts, then copies of those of other alerts, then own identities, each sorted. What
-- is copied is in an earlier period, so that nobody stores it as new. Concurrent daemons cannot deadlock.
create or replace function mobeye.claim_conflicts(
    ids uuid[], devices bigint[], own_ids uuid[], periods integer[], current_period integer)
returns setof integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off -- as above
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    positions integer[];
begin
    select array_agg(g.n::integer order by own_ids[g.n]) into positions
      from unnest(ids, devices, periods) with ordinality as g (id, device, period, n)
      join mobeye.alert_identity a on a.id = g.id and a.period = g.period
     where a.device <> g.device and a.device <> 0
       and not exists (select from mobeye.alert_identity o where o.id = own_ids[g.n] and o.period <> current_period);
    if positions is null then
        return;
    end if;
    -- The conflicting identity is kept at least as long as the alert's own; otherwise a resend could be stored under it.
    insert into mobeye.alert_identity (id, device, period)
    select a.id, a.device, current_period
      from (select distinct ids[p] as id, periods[p] as period from unnest(positions) as p) as taken
      join mobeye.alert_identity a on a.id = taken.id and a.period = taken.period
     where a.period <> current_period
     order by a.id
        on conflict do nothing;
    return query
    with new as (
        insert into mobeye.alert_identity as a (id, device, period)
        select own_ids[p], devices[p], current_period from unnest(positions) as p
            on conflict do nothing returning a.id)
    select p from unnest(positions) as p join new n on n.id = own_ids[p];
end
$$;
comment on function mobeye.claim_conflicts(uuid[], bigint[], uuid[], integer[], integer) is
    'For alerts whose identities are already stored, in the period given with each: the positions in the arrays of those that '
    'belong to another device than the stored alert and whose own identities are new.';

-- A transaction that has stored an identity in the current period locks its table until it commits, so the constraint waits for
-- it, and later ones wait for the constraint: only briefly, since a session that hangs must not hold up the others, but longer
-- than deadlock_timeout, after which an autovacuum gives way. The change is then retried later; until it succeeds the period
-- continues.
create or replace function mobeye.turn_identity_period(minimum bigint default 2000000) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
    p mobeye.identity_period;
    name text;
    next_name text;
    stored boolean;
    earlier bigint;
begin
    select * into strict p from mobeye.identity_period t where t.closed_at is null for update;
    name := 'alert_identity_' || p.period;
    next_name := 'alert_identity_' || p.period + 1;
    execute format('select exists (select from mobeye.%I)', name) into stored;
    select coalesce(sum(t.identities), 0) into earlier from mobeye.identity_period t;
    -- A row takes 60 bytes. If much is stored, periods become larger, so that their number stays small.
    if not stored or (pg_relation_size(format('mobeye.%I', name)::regclass) < 60 * greatest(minimum, earlier / 32)
                      and p.began_at > now() - interval '31 days') then
        return null;
    end if;
    execute format('create table mobeye.%I (like mobeye.alert_identity, primary key (id))', next_name);
    execute format('alter table mobeye.alert_identity attach partition mobeye.%I for values in (%s)', next_name, p.period + 1);
    execute format('alter table mobeye.%I add constraint closed check (false) not valid', name);
    update mobeye.identity_period t set closed_at = clock_timestamp() where t.period = p.period;
    insert into mobeye.identity_period (period) values (p.period + 1);
    return p.period + 1;
end
$$;
comment on function mobeye.turn_identity_period(bigint) is
    'Closes the current period of identities if it has taken two million of them, or 31 days; returns the next one.';

-- A Bloom filter of 64-bit words, big-endian: 12 bits per identity; four are set, all in one word, so that about one in a
-- hundred that is not stored seems to be. The last 48 bits of the identity decide: their first 24, modulo the number of words,
-- give the word; each 6 of the other 24 give a bit in it. daemon/store/identity_periods.c reads it.
create or replace function mobeye.make_identity_filters() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
declare
    closed integer;
    stored bigint;
    bits bytea;
    made bigint := 0;
begin
    for closed in
        select t.period from mobeye.identity_period t
         where t.closed_at is not null and t.filter is null order by t.period for update
    loop
        execute format('select count(*) from mobeye.%I', 'alert_identity_' || closed) into stored;
        execute format($sql$
            select string_agg(int8send(coalesce(f.bits, 0)), '' order by w.word)
              from generate_series(0, $1 - 1) as w (word)
              left join (select (h >> 24) %% $1 as word,
                                -- parentheses, since all these operators have the same precedence
                                bit_or((1::bigint << (h & 63)::integer) | (1::bigint << ((h >> 6) & 63)::integer)
                                       | (1::bigint << ((h >> 12) & 63)::integer) | (1::bigint << ((h >> 18) & 63)::integer)) as bits
                           from (select ('x' || right(i.id::text, 12))::bit(48)::bigint as h from mobeye.%I i) as hashed
                          group by 1) as f using (word)$sql$, 'alert_identity_' || closed)
           into bits using greatest(stored * 3 / 16, 1);
        update mobeye.identity_period t set filter = bits, identities = stored where t.period = closed;
        made := made + 1;
    end loop;
    return made;
end
$$;
comment on function mobeye.make_identity_filters() is
    'Makes the filters of the closed periods of identities that have none; returns how many. Daemons look up in a period what '
    'its filter knows; where there is no filter they look up every identity.';
