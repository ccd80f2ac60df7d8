-- What the board is asked to do, as JSON: a mistake in it is named, never ignored.

create or replace function mobeye.read_arguments(text text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    args jsonb;
    why text;
begin
    begin
        args := coalesce(nullif(btrim(text, E' \t\r\n'), ''), '{}');
    exception when data_exception or statement_too_complex then
        get stacked diagnostics why = pg_exception_detail;
        raise exception 'the body is not valid JSON%', coalesce(': ' || nullif(why, ''), '')
            using errcode = 'invalid_parameter_value', hint = 'Expected an object such as {"note": "all quiet"}.';
    end;
    if jsonb_typeof(args) <> 'object' then
        raise exception 'the body is not a JSON object'
            using errcode = 'invalid_parameter_value', hint = 'Expected an object such as {"note": "all quiet"}.';
    end if;
    -- A member that is null or empty counts as left out: a client may always send the same members.
    return (select coalesce(jsonb_object_agg(m.key, m.value), '{}') from jsonb_each(args) m where m.value not in ('null', '""'));
end
$$;
comment on function mobeye.read_arguments(text) is 'The members of the body of a request that are not null or empty; empty: {}.';

-- Every action on an incident except open, which changes nothing, takes expected_status, expected_change and note.
create or replace function mobeye.check_members(action text, args jsonb) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    known text[] := case
        when action in ('claim', 'assign', 'release') then array['officer']
        when action = 'close' then array['outcome']
        when action = 'open' then array['reason']
        when action = 'next' then array['team', 'officer']
        when action = 'mute' then array['device', 'incident_id', 'layer', 'code', 'until', 'reason']
        when action = 'unmute' then array['mute_id']
        else array[]::text[] end || case when action in ('open', 'next', 'mute', 'unmute') then array[]::text[]
                                         else array['note', 'expected_status', 'expected_change'] end;
    unknown text := (select string_agg(format('"%s"', m.key), ', ' order by m.key)
                       from jsonb_each(args) m where m.value not in ('null', '""') and m.key <> all (known));
    nested text := (select min(m.key) from jsonb_each(args) m where jsonb_typeof(m.value) in ('object', 'array', 'boolean'));
begin
    if unknown is not null then
        raise exception '%: has no member %', action, unknown
            using errcode = 'invalid_parameter_value', hint = format('Expected members: %s.', array_to_string(known, ', '));
    elsif nested is not null then
        raise exception '%: % is not a text or a number', nested, args -> nested
            using errcode = 'invalid_parameter_value', hint = 'Expected one value, in quotes if it is a text.';
    end if;
end
$$;
comment on function mobeye.check_members(text, jsonb) is
    'Refuses arguments that an action of the board does not have: a note that is not stored must not look as if it were.';

create or replace function mobeye.number_argument(args jsonb, name text) returns bigint
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (args ->> name)::bigint;
exception when data_exception then
    raise exception '%: "%" is not a number', name, args ->> name
        using errcode = 'invalid_parameter_value', hint = 'Expected a whole number.';
end
$$;
comment on function mobeye.number_argument(jsonb, text) is 'A whole number among the arguments; null if it is not there.';

create or replace function mobeye.time_argument(args jsonb, name text) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Without an offset it would be in the time zone of the database, which the person does not know.
    if args ->> name !~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)$' then
        raise invalid_datetime_format;
    end if;
    return (args ->> name)::timestamptz;
exception when data_exception then
    raise exception '%: "%" is not a time with its offset', name, args ->> name
        using errcode = 'invalid_parameter_value', hint = 'Expected a time such as 2026-11-29T22:00:00+01:00.';
end
$$;
comment on function mobeye.time_argument(jsonb, text) is 'A time among the arguments; null if it is not there.';

create or replace function mobeye.degrees_argument(args jsonb, name text) returns float8
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if args ->> name is null then
        raise exception '%: is missing', name
            using errcode = 'invalid_parameter_value', hint = 'Expected west, south, east and north, in degrees.';
    end if;
    return (args ->> name)::float8;
exception when invalid_text_representation or numeric_value_out_of_range then
    raise exception '%: "%" is not a number', name, args ->> name
        using errcode = 'invalid_parameter_value', hint = 'Expected west, south, east and north, in degrees.';
end
$$;
comment on function mobeye.degrees_argument(jsonb, text) is 'Degrees among the arguments; refused if they are not there.';
