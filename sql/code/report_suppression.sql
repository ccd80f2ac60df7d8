-- Small numbers: which figures of a report are left out, so that none can be computed from others.
--
-- A reader knows the sums: of the areas of a layer with the rest, and of kinds, outcomes and hours of an alarm. So for each sum
-- with something left out, enough else is left out that every number in it could be at least one more or one less, consistently
-- with everything published. If that is not possible, the sum itself is left out. What is left out depends on a single period;
-- report_published() deals with overlapping periods.

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

-- A line: number 1 is the sum of the others. at_least: how many of each are known from elsewhere. Nothing guarantees that what
-- is left out is at least 1, but people assume it.
create or replace function mobeye.hide_line(n bigint[], forced boolean[], min_cell integer, at_least bigint[] default '{}')
returns boolean[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    hidden boolean[] := array(select f.forced or (f.n > 0 and f.n < min_cell)
                                from unnest(hide_line.n, hide_line.forced) with ordinality as f (n, forced, i) order by f.i);
    more boolean[];
    many integer;
    free bigint;
begin
    loop
        select count(*), coalesce(sum(f.n - greatest(1, least(f.n, coalesce(f.at_least, 0)))), 0) into many, free
          from unnest(hide_line.n, hidden, at_least) with ordinality as f (n, hidden, at_least, i) where f.i > 1 and f.hidden;
        exit when hidden[1] and many > 0 or not hidden[1] and (many = 0 or many > 1 and free > 0);
        more := mobeye.hide_next(n, hidden);
        exit when more is null;
        hidden := more;
    end loop;
    return hidden;
end
$$;
comment on function mobeye.hide_line(bigint[], boolean[], integer, bigint[]) is
    'Which numbers of a sum (number 1) and its parts are left out, if those that are forced and those below the minimum are.';

-- A table whose rows and columns all have a sum; row 1 is the sum of the other rows. Rows are left out as a whole. With
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
        bad := hidden[1] and not (true = any (hidden[2:])); -- it could be computed from the other rows
        for r in 2 .. rows loop
            exit when bad or hidden[1]; -- without the sums of columns, a row that is left out is limited only by its own sum
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
comment on function mobeye.hide_figure(text[], jsonb, text, text[], integer) is 'The areas where one figure is left out.';

-- Hours of the week: for all areas together each small one is left out; for an area all of them, unless every hour of all areas
-- and of this one can be published.
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
    if hidden[1] then -- the sum may be published with the alarms: all are left out, so that every hour could have some
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
                                     and greatest((counts -> c ->> 'placements')::bigint, (counts -> c ->> 'alarms')::bigint,
                                                  (counts -> c ->> 'set_nights')::bigint) > 0);
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

-- Near repeats show how many burglaries and attempts there are together, and hotspots which areas have a minimum of them
-- (seen). So if one total is left out, so is the other, and enough of both that nothing can be computed from their sum.
create or replace function mobeye.hide_burglaries(codes text[], counts jsonb, min_cell integer)
returns table (code text, figure text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    many constant integer := cardinality(codes);
    burglaries constant bigint[] := array(select coalesce((counts -> u.c ->> 'burglaries')::bigint, 0)
                                            from unnest(codes) with ordinality as u (c, i) order by i);
    attempts constant bigint[] := array(select coalesce((counts -> u.c ->> 'attempts')::bigint, 0)
                                          from unnest(codes) with ordinality as u (c, i) order by i);
    seen constant bigint[] := array(select coalesce((counts -> u.c ->> 'seen')::bigint, 0)
                                      from unnest(codes) with ordinality as u (c, i) order by i);
    none constant boolean[] := array_fill(false, array[many]);
    hidden boolean[] := mobeye.hide_line(burglaries, none, min_cell, seen) || mobeye.hide_line(attempts, none, min_cell, seen);
begin
    if hidden[1] or hidden[many + 1] then
        hidden := mobeye.hide_line(burglaries, true || hidden[2:many], min_cell, seen)
                  || mobeye.hide_line(attempts, true || hidden[many + 2:], min_cell, seen);
        hidden := mobeye.hide_line(0::bigint || burglaries[2:] || attempts[2:], false || hidden[2:many] || hidden[many + 2:], 1,
                                   0::bigint || seen[2:] || seen[2:]);
        if hidden[1] then
            return query select '*', 'events';
        end if;
        hidden := true || hidden[2:many] || true || hidden[many + 1:];
    end if;
    return query select u.c, case when u.i <= many then 'burglaries' else 'attempts' end
                   from unnest(codes || codes, hidden) with ordinality as u (c, hidden, i) where u.hidden;
end
$$;
comment on function mobeye.hide_burglaries(text[], jsonb, integer) is
    'The burglaries and attempts that are left out for readers who see near repeats and hotspots too; events: even their number together.';

create or replace function mobeye.hidden_in(counts jsonb, min_cell integer, bound boolean default false)
returns table (code text, figure text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    -- With each minimum up to this one: a report with a higher minimum shows nothing that one with a lower minimum leaves out.
    select distinct h.code, h.figure
      from (select array['*'] || array(select k from jsonb_object_keys(counts) as k where k <> '*' order by k collate "C") as codes) c
     cross join generate_series(least(5, min_cell), min_cell) as m
     cross join lateral (select * from mobeye.hide_counts(c.codes, counts, m)
                         union all
                         select * from mobeye.hide_burglaries(c.codes, counts, m) where bound) h
     where counts <> '{}'
$$;
comment on function mobeye.hidden_in(jsonb, integer, boolean) is
    'The figures of one period that are left out at a minimum; bound: for an analyst, who sees near repeats and hotspots too.';

-- Reports of overlapping periods could be subtracted from each other. For an analyst the unit of publication is a half-year
-- (from January or July): of a longer period, what can be published of all its half-years; of a part of a half-year, what can
-- be published of each of its months and of the rest. Then nothing about a single day can be computed from two reports that is
-- in neither of them.
create or replace function mobeye.report_parts(from_day date, until_day date)
returns table (part_from date, part_until date, whole boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with half as (
        select h::date as at, (h + interval '6 months')::date as until, h >= from_day and h + interval '6 months' <= until_day as whole,
               date_trunc('month', mobeye.local_time(now()))::date as over -- the previous months are
          from generate_series(date_trunc('year', from_day::timestamp), until_day::timestamp - interval '1 day', interval '6 months') as h
         where h + interval '6 months' > from_day)
    select h.at, h.until, h.whole from half h
    union all
    select m::date, (m + interval '1 month')::date, false
      from half h cross join lateral generate_series(h.at, least(h.until, h.over) - 1, interval '1 month') as m
     where not h.whole
    union all
    select h.over, h.until, false from half h where not h.whole and h.over > h.at and h.over < h.until
$$;
comment on function mobeye.report_parts(date, date) is
    'The half-years of a period (whole), and of a half-year that lies in it in part that half-year, its months that are over, and the rest.';

create or replace function mobeye.add_counts(counts jsonb, more jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(s.code, s.figures), '{}')
      from (select f.code, jsonb_object_agg(f.figure, f.n) as figures
              from (select a.code, b.figure, sum(b.n::bigint)::bigint as n
                      from unnest(array[counts, more]) as t (areas)
                     cross join lateral jsonb_each(t.areas) as a (code, figures)
                     cross join lateral jsonb_each_text(a.figures) as b (figure, n)
                     group by 1, 2) f
             group by f.code) s
$$;
comment on function mobeye.add_counts(jsonb, jsonb) is 'The sum of what two reports count (of placements: at most).';

create or replace function mobeye.report_published(layer text, from_day date, until_day date, min_cell integer, bound boolean,
                                                   out counts jsonb, out hidden jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    over constant date := date_trunc('month', mobeye.local_time(now()));
    wholly constant boolean := bound and (select bool_and(p.whole) from mobeye.report_parts(from_day, until_day) p);
    part record;
    figures jsonb;
begin
    -- The half-years are counted anyway, and are most of the work.
    counts := case when wholly then '{}' else mobeye.report_table(layer, from_day, until_day) end;
    hidden := '{}';
    if not bound then
        hidden := coalesce((select jsonb_object_agg(h.code || '|' || h.figure, true) from mobeye.hidden_in(counts, min_cell) h), '{}');
        return;
    elsif until_day > over and exists (select from mobeye.report_parts(from_day, until_day) p where not p.whole and p.part_until > over) then
        hidden := '{"**|**": true}'; -- the current month could be subtracted day by day
        return;
    end if;
    for part in select * from mobeye.report_parts(from_day, until_day) loop
        figures := mobeye.report_table(layer, part.part_from, part.part_until);
        counts := case when wholly then mobeye.add_counts(counts, figures) else counts end;
        hidden := hidden || coalesce((
            select jsonb_object_agg(case when part.whole then h.code else '**' end || '|' || f.figure, true)
              from mobeye.hidden_in(figures, min_cell, true) h
             cross join lateral unnest(case when part.whole then array[h.figure]
                                            when h.figure in ('burglaries', 'attempts') then array['burglaries', 'attempts']
                                            else array[regexp_replace(h.figure, '^hour:.*', 'hours')] end) as f (figure)), '{}');
    end loop;
end
$$;
comment on function mobeye.report_published(text, date, date, integer, boolean) is
    'What a report counts, and the figures that are left out (AREA|FIGURE; **: of all areas, or all figures); bound: of an analyst''s '
    'report of whole months.';
