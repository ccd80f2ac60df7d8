-- Small numbers: which figures of a report are left out, so that none can be computed back.
--
-- A reader knows the sums: of the areas of a layer with the rest, and of kinds, outcomes and hours of an alarm. So for each
-- sum with something left out, so much else is left out that every number in it may be at least one more or one less, if all
-- that is published is right. Where that cannot be had, the sum itself is left out. What is left out depends on one period
-- alone; periods that overlap are the matter of report_hidden().

-- The smallest numbers are left out first, so that a higher minimum never shows what a lower one leaves out.
create or replace function mobeye.hide_next(n bigint[], hidden boolean[]) returns boolean[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when s.next is not null or not hidden[1]
                then array(select u.h or u.i = coalesce(s.next, 1) from unnest(hidden) with ordinality as u (h, i) order by u.i) end
      from (select (select f.i from unnest(n, hidden) with ordinality as f (n, hidden, i)
                     where f.i > 1 and not f.hidden and f.n > 0 order by f.n, f.i limit 1) as next) s
$$;
comment on function mobeye.hide_next(bigint[], boolean[]) is
    'Leaves out one more of some numbers: the smallest, else their sum (number 1); null if nothing is left.';

-- A line: number 1 is the sum of the others.
create or replace function mobeye.hide_line(n bigint[], forced boolean[], min_cell integer) returns boolean[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    hidden boolean[] := array(select f.forced or (f.n > 0 and f.n < min_cell)
                                from unnest(hide_line.n, hide_line.forced) with ordinality as f (n, forced, i) order by f.i);
    more boolean[];
    many integer;
    total bigint;
begin
    loop
        select count(*), coalesce(sum(f.n), 0) into many, total
          from unnest(hide_line.n, hidden) with ordinality as f (n, hidden, i) where f.i > 1 and f.hidden;
        -- Nobody can rely on what is left out being at least 1, but people do: so the sum is more than one each.
        exit when hidden[1] and many > 0 or not hidden[1] and (many = 0 or many > 1 and total > many);
        more := mobeye.hide_next(n, hidden);
        exit when more is null;
        hidden := more;
    end loop;
    return hidden;
end
$$;
comment on function mobeye.hide_line(bigint[], boolean[], integer) is
    'Which numbers of a sum (number 1) and its parts are left out, if those that are forced and those below the minimum are.';

-- A table, all of whose rows and columns have a sum; row 1 is the sum of the other rows. Rows are left out as a whole. With
-- R the sum of a row and C that of a column over the rows left out, and H the sum of all of them, a number x may be one more if
-- R - x and C - x are at least 1 (there is something in its row and something in its column that may be one less, and where
-- their own column and row meet one is added again), one less if x and H - R - C + x are.
create or replace function mobeye.hide_rows(n bigint[], forced boolean[], min_cell integer) returns boolean[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    rows constant integer := coalesce(array_length(n, 1), 0);
    keys constant integer := coalesce(array_length(n, 2), 0);
    hidden boolean[] := forced;
    row_sum bigint[] := array_fill(0::bigint, array[greatest(rows, 1)]);
    column_sum bigint[];
    total bigint;
    bad boolean;
    more boolean[];
begin
    for r in 1 .. rows loop
        for k in 1 .. keys loop
            row_sum[r] := row_sum[r] + n[r][k];
            hidden[r] := hidden[r] or (n[r][k] > 0 and n[r][k] < min_cell);
        end loop;
    end loop;
    loop
        exit when not (true = any (hidden));
        column_sum := array_fill(0::bigint, array[greatest(keys, 1)]);
        total := 0;
        for r in 2 .. rows loop
            continue when not hidden[r];
            total := total + row_sum[r];
            for k in 1 .. keys loop
                column_sum[k] := column_sum[k] + n[r][k];
            end loop;
        end loop;
        bad := hidden[1] and not (true = any (hidden[2:])); -- the other rows would give it
        for r in 2 .. rows loop
            exit when bad or hidden[1]; -- without the sums of columns a row that is left out is as free as its sum lets it be
            continue when not hidden[r];
            for k in 1 .. keys loop
                continue when column_sum[k] = 0; -- known to be none, and published as such
                bad := bad or not ((row_sum[r] - n[r][k] >= 1 and column_sum[k] - n[r][k] >= 1)
                                   or (n[r][k] >= 1 and total - row_sum[r] - column_sum[k] + n[r][k] >= 1));
            end loop;
        end loop;
        exit when not bad;
        more := mobeye.hide_next(row_sum, hidden);
        exit when more is null;
        hidden := more;
    end loop;
    return hidden;
end
$$;
comment on function mobeye.hide_rows(bigint[], boolean[], integer) is
    'Which rows of a table (row 1 is the sum of the others) are left out, if those that are forced and those with a number below '
    'the minimum are.';

create or replace function mobeye.hide_pattern(codes text[], counts jsonb, prefix text, forced text[], min_cell integer)
returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    keys constant text[] := array(select k from jsonb_object_keys(coalesce(counts -> '*', '{}')) as k
                                   where starts_with(k, prefix) order by k);
    n bigint[];
    hidden boolean[];
begin
    if cardinality(keys) = 0 then
        return '{}';
    end if;
    n := array(select array(select coalesce((counts -> c.code ->> k.key)::bigint, 0)
                              from unnest(keys) with ordinality as k (key, i) order by k.i)
                 from unnest(codes) with ordinality as c (code, i) order by c.i);
    hidden := mobeye.hide_rows(n, array(select c = any (forced) from unnest(codes) with ordinality as u (c, i) order by i), min_cell);
    return array(select c.code from unnest(codes, hidden) as c (code, hidden) where c.hidden);
end
$$;
comment on function mobeye.hide_pattern(text[], jsonb, text, text[], integer) is
    'The areas whose figures of one sort (kind:, outcome:) are left out as a whole.';

create or replace function mobeye.hide_figure(codes text[], counts jsonb, figure text, forced text[], min_cell integer)
returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with line as (
        select array_agg(coalesce((counts -> c.code ->> figure)::bigint, 0) order by c.i) as n,
               array_agg(c.code = any (forced) order by c.i) as forced
          from unnest(codes) with ordinality as c (code, i))
    select array(select u.code from line l, unnest(codes, mobeye.hide_line(l.n, l.forced, min_cell)) as u (code, hidden)
                  where u.hidden)
$$;
comment on function mobeye.hide_figure(text[], jsonb, text, text[], integer) is 'The areas of which one figure is left out.';

-- Hours of the week: of all areas each small one; of an area all, unless every one of all areas and of it can be published.
create or replace function mobeye.hide_hours(codes text[], counts jsonb, forced text[], min_cell integer)
returns table (code text, figure text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    hours constant bigint[] := array(select coalesce((counts -> '*' ->> ('hour:' || h))::bigint, 0) from generate_series(0, 167) as h
                                      order by h);
    hidden boolean[] := mobeye.hide_line(coalesce((counts -> '*' ->> 'alarms')::bigint, 0) || hours,
                                         array_fill('*' = any (forced), array[169]), min_cell);
begin
    if hidden[1] then -- the sum may be published with the alarms: so that every hour could have some, all are left out
        return query select c, 'hours' from unnest(codes) as c;
        return;
    elsif not (true = any (hidden[2:])) then
        return query select c, 'hours' from unnest(mobeye.hide_pattern(codes, counts, 'hour:', forced, min_cell)) as c;
        return;
    end if;
    return query select c, 'hours' from unnest(codes) as c where c <> '*';
    return query select '*', 'hour:' || (u.i - 2) from unnest(hidden) with ordinality as u (hidden, i) where u.hidden and u.i > 1;
end
$$;
comment on function mobeye.hide_hours(text[], jsonb, text[], integer) is
    'The areas whose hours of the week are left out (hours), and the hours of all areas together that are (hour:H).';

create or replace function mobeye.hide_counts(codes text[], counts jsonb, min_cell integer)
returns table (code text, figure text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    thin constant text[] := array(select c from unnest(codes) as c
                                   where coalesce((counts -> c ->> 'placements')::bigint, 0) < min_cell
                                     and (coalesce((counts -> c ->> 'placements')::bigint, 0) > 0
                                          or coalesce((counts -> c ->> 'alarms')::bigint, 0) > 0));
    alarms text[] := mobeye.hide_figure(codes, counts, 'alarms', thin, min_cell);
begin
    return query select c, 'alarms' from unnest(alarms) as c;
    return query select c, 'set_nights' from unnest(mobeye.hide_figure(codes, counts, 'set_nights', thin, min_cell)) as c;
    return query select c, 'verified' from unnest(mobeye.hide_figure(codes, counts, 'verified', alarms, min_cell)) as c;
    return query select c, 'kinds' from unnest(mobeye.hide_pattern(codes, counts, 'kind:', alarms, min_cell)) as c;
    return query select c, 'outcomes' from unnest(mobeye.hide_pattern(codes, counts, 'outcome:', alarms, min_cell)) as c;
    return query select h.code, h.figure from mobeye.hide_hours(codes, counts, alarms, min_cell) h;
    return query
    select c, f.figure
      from (select 'burglaries' as figure union all select 'attempts'
            union all select k from jsonb_object_keys(coalesce(counts -> '*', '{}')) as k where starts_with(k, 'measure:')) f
     cross join lateral unnest(mobeye.hide_figure(codes, counts, f.figure, '{}', min_cell)) as c;
end
$$;
comment on function mobeye.hide_counts(text[], jsonb, integer) is
    'The figures of one period that are left out, by area (*: of all areas together).';

create or replace function mobeye.report_table(layer text, from_day date, until_day date) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(t.code, t.figures), '{}')
      from (select c.code, jsonb_object_agg(c.figure, c.n) as figures
              from mobeye.report_counts(layer, from_day, until_day) c group by c.code) t
$$;
comment on function mobeye.report_table(text, date, date) is 'What a report counts, as {area: {figure: number}}.';

create or replace function mobeye.hidden_in(counts jsonb, min_cell integer)
returns table (code text, figure text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    -- With each minimum up to this one: a report with a higher minimum shows nothing that one with a lower leaves out.
    select distinct h.code, h.figure
      from (select array['*'] || array(select k from jsonb_object_keys(counts) as k where k <> '*' order by k collate "C") as codes) c
     cross join generate_series(least(5, min_cell), min_cell) as m
     cross join lateral mobeye.hide_counts(c.codes, counts, m) h
     where counts <> '{}'
$$;
comment on function mobeye.hidden_in(jsonb, integer) is 'The figures of one period that are left out at a minimum.';

-- Reports of overlapping periods could be subtracted from each other. For an analyst a half-year (from January or July) is
-- what can be published: figures of longer periods are published if those of all their half-years are, and of a part of a
-- half-year if everything about this figure is in each of its months that are over: nothing can then be computed from two
-- reports of one day that is in neither.
create or replace function mobeye.report_hidden(layer text, from_day date, until_day date, min_cell integer)
returns table (code text, figure text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    over constant date := date_trunc('month', mobeye.local_time(now())); -- the months before are over
    half date;
    half_end date;
    month date;
begin
    for half in
        select h::date
          from generate_series(date_trunc('year', from_day::timestamp), until_day::timestamp - interval '1 day', interval '6 months') as h
         where h + interval '6 months' > from_day
    loop
        half_end := half + interval '6 months';
        if half >= from_day and half_end <= until_day then
            return query select h.code, h.figure from mobeye.hidden_in(mobeye.report_table(layer, half, half_end), min_cell) h;
            continue;
        elsif least(until_day, half_end) > over then
            return query select '**', '**';
            return;
        end if;
        half_end := least(half_end, over);
        return query select '**', regexp_replace(h.figure, '^hour:.*', 'hours')
                       from mobeye.hidden_in(mobeye.report_table(layer, half, half_end), min_cell) h;
        for month in select m::date from generate_series(half, half_end - 1, interval '1 month') as m loop
            return query select '**', regexp_replace(h.figure, '^hour:.*', 'hours')
                           from mobeye.hidden_in(mobeye.report_table(layer, month, (month + interval '1 month')::date), min_cell) h;
        end loop;
    end loop;
end
$$;
comment on function mobeye.report_hidden(text, date, date, integer) is
    'The figures that are left out of an analyst''s report of whole months (**: of all areas, or all figures).';
