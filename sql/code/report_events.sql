-- What reports on places count, and for which periods: burglaries and alarms by local day and place.

-- Reports are for members of mobeye_analyst; anyone else who may call their functions gets less.
create or replace function mobeye.check_report_period(from_day date, until_day date, restricted boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if from_day is null or until_day is null or not isfinite(from_day) or not isfinite(until_day) or until_day <= from_day then
        raise exception 'period: from % until % is not valid', coalesce(from_day::text, 'null'), coalesce(until_day::text, 'null')
            using errcode = 'invalid_parameter_value', hint = 'Expected two days, the second after the first; it is not included.';
    elsif until_day > from_day + interval '20 years' then
        raise exception 'period: from % until % is too long', from_day, until_day
            using errcode = 'invalid_parameter_value', hint = 'Expected at most 20 years.';
    elsif restricted and (date_trunc('month', from_day) <> from_day or date_trunc('month', until_day) <> until_day) then
        raise exception 'period: from % until % is not a number of whole months', from_day, until_day
            using errcode = 'insufficient_privilege',
                  hint = 'Members of mobeye_analyst report on whole months: both days must be the first of a month.';
    end if;
end
$$;
comment on function mobeye.check_report_period(date, date, boolean) is
    'Refuses what is not a period of local days, and for restricted readers what is not whole months.';

-- Coordinates are whole centimetres of RD New: a place that was entered in metres of RD New comes back exactly, although it is
-- stored in degrees, so that a distance on the edge of a band is on that edge, and a place on the edge of a cell on that edge.
create or replace function mobeye.report_events(of_what text, from_day date, until_day date)
returns table (day date, x bigint, y bigint, attempt boolean, secret boolean, placement_id bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    from_at constant timestamptz := from_day::timestamp at time zone 'Europe/Amsterdam';
    until_at constant timestamptz := until_day::timestamp at time zone 'Europe/Amsterdam';
begin
    if of_what = 'burglaries' then
        return query
        select (b.occurred_from at time zone 'Europe/Amsterdam')::date, round(public.st_x(r.rd) * 100)::bigint,
               round(public.st_y(r.rd) * 100)::bigint, b.attempt, false, null::bigint
          from mobeye.burglary b
         cross join lateral (select mobeye.rd(b.geom) as rd offset 0) r
         where b.occurred_from >= from_at and b.occurred_from < until_at;
    elsif of_what = 'alarms' then
        return query
        select (i.first_seen at time zone 'Europe/Amsterdam')::date, round(public.st_x(r.rd) * 100)::bigint,
               round(public.st_y(r.rd) * 100)::bigint, false, i.secret, i.placement_id
          from mobeye.incident i
         cross join lateral (select mobeye.rd(i.geom) as rd offset 0) r
         where i.first_seen >= from_at and i.first_seen < until_at and i.category = 'alarm' and not i.drill
           and coalesce(i.outcome, '') not in ('drill', 'merged');
    else
        raise exception 'of: "%" is not a subject of reports', of_what
            using errcode = 'invalid_parameter_value', hint = 'Expected burglaries or alarms.';
    end if;
end
$$;
comment on function mobeye.report_events(text, date, date) is
    'Burglaries (attempts included and marked) or alarms (incidents of category alarm; neither drills nor merged ones) of a '
    'period of local days, with their place in centimetres of RD New; null: unknown.';
