-- The board: a front end that acts for the person who is signed in to it.

create or replace function mobeye.claim(id bigint, expected_status text, expected_change bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id, expected_status);
begin
    if i.assigned_to is not null and i.status <> 'closed' then
        raise exception 'incident %: already assigned to %', mobeye.reference(id),
            case when i.assigned_to = mobeye.actor() then 'you' else i.assigned_to end
            using errcode = 'MB001', detail = i.status,
                  hint = case when i.assigned_to = mobeye.actor() then 'There is nothing to do.'
                              else 'Take another one, or ask them to release it.' end;
    end if;
    perform patrol.assign(id, mobeye.actor(), expected_status, expected_change);
end
$$;
comment on function mobeye.claim(bigint, text, bigint) is
    'Assigns an incident to the viewer. Refused (SQLSTATE MB001) if somebody has it.';

-- The screen may predate an assignment to another officer.
create or replace function mobeye.release_from(id bigint, officer text, expected_status text, expected_change bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id, expected_status);
begin
    if i.assigned_to <> officer then
        raise exception 'incident %: already assigned to %', mobeye.reference(id), i.assigned_to
            using errcode = 'MB001', detail = i.status, hint = 'Read it again before you release it.';
    end if;
    perform patrol.release(id, expected_status, expected_change);
end
$$;
comment on function mobeye.release_from(bigint, text, text, bigint) is
    'Releases an incident. Refused (SQLSTATE MB001) if another officer than this one (null: any) has it.';

create or replace function patrol.board_act(id bigint, action text, args jsonb default '{}') returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.require_right(case action when 'open' then 'look' else 'act' end);
    status text := args ->> 'expected_status';
    change bigint := mobeye.number_argument(args, 'expected_change');
    note text := case when args ->> 'note' ~ '[^[:space:]]' then args ->> 'note' end;
begin
    perform mobeye.check_members(action, args);
    case action
        when 'open' then
            return patrol.board_incident(id, coalesce(args ->> 'reason', ''));
        when 'claim' then
            if args ->> 'officer' <> v.login then
                raise exception 'claim: officer "%" is not you', args ->> 'officer'
                    using errcode = 'invalid_parameter_value', hint = 'Use assign to give an incident to another officer.';
            end if;
            perform mobeye.claim(id, status, change);
        when 'acknowledge' then
            perform patrol.acknowledge(id, status, change);
        when 'assign' then
            perform patrol.assign(id, args ->> 'officer', status, change);
        when 'release' then
            perform mobeye.release_from(id, args ->> 'officer', status, change);
        when 'on_scene' then
            perform patrol.on_scene(id, status, change);
        when 'verify' then
            perform patrol.verify(id, 'person', status, change);
        when 'note' then
            perform patrol.note(id, note, status, change);
        when 'close' then
            perform patrol.close(id, args ->> 'outcome', note, status, change);
        when 'reopen' then
            perform patrol.reopen(id, note, status, change);
        else
            raise exception 'action "%" does not exist', action
                using errcode = 'invalid_parameter_value',
                      hint = 'Expected claim, acknowledge, assign, release, on_scene, verify, note, close, reopen or open.';
    end case;
    if action not in ('note', 'close', 'reopen') and note is not null then
        -- Not patrol.note(): the action may have taken the incident out of sight.
        perform mobeye.add_change(id, 'note'), mobeye.add_history(id, 'note', mobeye.require_text('the note', note));
    end if;
    return coalesce(mobeye.incident_detail(id, v, null),
                    jsonb_build_object('change_id', mobeye.change_count(), 'incident', null, 'alerts', '[]'::jsonb,
                                       'history', '[]'::jsonb, 'images', '[]'::jsonb));
end
$$;
comment on function patrol.board_act(bigint, text, jsonb) is
    'Does something with an incident: claim (assign to oneself, only while nobody has it), acknowledge, assign, release, '
    'on_scene, verify, note, close, reopen or open. Members of args: expected_status, expected_change, outcome, note, '
    'officer, reason; one that the action does not have is refused. Returns the incident as patrol.board_incident(); null as "incident" if it is no longer in sight.';

create or replace function patrol.board_next(args jsonb default '{}') returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.require_right('act');
    o mobeye.viewer := mobeye.officer_viewer();
    claimed bigint;
begin
    perform mobeye.check_members('next', args);
    claimed := patrol.claim_next(coalesce(args ->> 'team', case when not o.all_teams then o.team end),
                                 coalesce(args ->> 'officer', v.login));
    return coalesce(mobeye.incident_detail(claimed, v, null),
                    jsonb_build_object('change_id', mobeye.change_count(), 'incident', null, 'alerts', '[]'::jsonb,
                                       'history', '[]'::jsonb, 'images', '[]'::jsonb));
end
$$;
comment on function patrol.board_next(jsonb) is
    'patrol.claim_next() for the reader and their team, or any for those who see all teams; members of args: team, officer. Null as '
    '"incident": none is free.';

create or replace function patrol.board_mute(args jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.require_right('act');
    until timestamptz := mobeye.time_argument(args, 'until');
    reason text := args ->> 'reason';
begin
    perform mobeye.check_members('mute', args);
    if num_nonnulls(coalesce(args ->> 'device', args ->> 'incident_id'), coalesce(args ->> 'layer', args ->> 'code')) <> 1 then
        raise exception 'mute: % device, incident_id, or layer and code',
            case when jsonb_strip_nulls(args) ?| array['device', 'incident_id', 'layer', 'code'] then 'more than one of' else 'none of' end
            using errcode = 'invalid_parameter_value', hint = 'Expected one of them: what is muted; or device with incident_id.';
    end if;
    return jsonb_build_object('mute_id', case
        when num_nonnulls(args ->> 'device', args ->> 'incident_id') = 2 then
            mobeye.mute_at_incident(mobeye.number_argument(args, 'incident_id'), args ->> 'device', until, reason)
        when args ->> 'incident_id' is not null then
            patrol.mute_until_restored(mobeye.number_argument(args, 'incident_id'), until, reason)
        when coalesce(args ->> 'layer', args ->> 'code') is not null then patrol.mute_area(args ->> 'layer', args ->> 'code', until, reason)
        else patrol.mute(args ->> 'device', until, reason) end);
end
$$;
comment on function patrol.board_mute(jsonb) is
    'Mutes a device (members of args: device, until, reason; with incident_id only if it stands where that incident is), an area '
    '(layer, code, until, reason) or the device of an incident until it is restored (incident_id, until, reason). Returns mute_id.';

create or replace function patrol.board_unmute(args jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.require_right('act'), mobeye.check_members('unmute', args);
    if args ->> 'mute_id' is null then
        raise exception 'unmute: mute_id is missing'
            using errcode = 'invalid_parameter_value', hint = 'Expected the number of a mute.';
    end if;
    perform patrol.unmute(mobeye.number_argument(args, 'mute_id'));
    return '{}';
end
$$;
comment on function patrol.board_unmute(jsonb) is 'Ends a mute; member of args: mute_id.';

-- ---------------------------------------------------------------------------------------------------------------------
-- For the server

create or replace function mobeye.board_call(call text, id bigint, args jsonb) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if call = 'map' then
        perform mobeye.require_right('look'); -- the others check for a right themselves
    end if;
    return case call
        when 'me' then patrol.board_me()
        when 'incident' then patrol.board_incident(id)
        when 'map' then patrol.incidents_geojson(
            mobeye.degrees_argument(args, 'west'), mobeye.degrees_argument(args, 'south'),
            mobeye.degrees_argument(args, 'east'), mobeye.degrees_argument(args, 'north'))
        when 'areas' then patrol.board_areas(
            mobeye.degrees_argument(args, 'west'), mobeye.degrees_argument(args, 'south'),
            mobeye.degrees_argument(args, 'east'), mobeye.degrees_argument(args, 'north'))
        when 'equipment' then patrol.board_equipment(args ->> 'q')
        when 'closed' then patrol.board_closed(args ->> 'q', args ->> 'words')
        when 'next' then patrol.board_next(args)
        when 'mute' then patrol.board_mute(args)
        when 'unmute' then patrol.board_unmute(args)
        else patrol.board_act(id, call, args) end;
end
$$;
comment on function mobeye.board_call(text, bigint, jsonb) is 'Calls the function of a name with these arguments; queue: see board().';

create or replace function mobeye.http_status(state text) returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when state in ('MB001', '55000') then 409
                when state = 'P0002' then 404
                when state in ('28000', '42501') then 403
                when state like '22%' or state like '23%' then 422 end
$$;
comment on function mobeye.http_status(text) is
    'The HTTP status for a SQLSTATE by which a function of patrol refuses something; null for any other error.';

-- What the functions say about mobeye.acting_as is meant for the programmer of a front end.
create or replace function mobeye.refusal(person text, state text, message text, hint text) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('code', state)
           || case when state = '28000'
                   then jsonb_build_object('message', format('"%s" is not a registered person', coalesce(person, '')),
                                           'hint', 'Ask the administrator of the board to register you (mobeyectl people import).')
                   else jsonb_build_object('message', message, 'hint', nullif(hint, '')) end
$$;
comment on function mobeye.refusal(text, text, text, text) is 'The body of a response that refuses something.';

-- Who was first, as far as the person may know. If it was alerts (check_current()), it is the panic or the verification, not an
-- earlier action of a person; otherwise it is the last status, not what alerts did since.
create or replace function mobeye.conflict(id bigint, with_alerts boolean) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('status', i.status, 'alert_count', i.alert_count, 'by', first.actor,
                              'at', coalesce(first.at, i.last_seen), 'assigned_to', i.assigned_to)
      from patrol.incidents i
      left join lateral (
           select h.actor, h.at from patrol.incident_history h
            where not with_alerts and h.incident_id = i.incident_id and h.action = 'status'
            order by h.entry desc limit 1) as status on true
      left join lateral (
           select c.op, c.at from mobeye.change c
            where with_alerts and c.incident_id = i.incident_id and (c.urgent or c.op = 'verified')
            order by c.entry desc limit 1) as joined on true
      left join lateral (
           select h.actor from patrol.incident_history h
            where joined.op = 'verified' and h.incident_id = i.incident_id and h.action = 'verified'
            order by h.entry desc limit 1) as verified on true
     cross join lateral (select coalesce(status.actor, verified.actor) as actor, coalesce(status.at, joined.at) as at) as first
     where i.incident_id = id
$$;
comment on function mobeye.conflict(bigint, boolean) is
    'What a person whose action came too late should know about an incident: status, alert_count, and by whom (null: an alert) and '
    'when it was changed: its last status, or with_alerts the last panic, holdup or verification.';

create or replace function patrol.board(person text, call text, id bigint, arguments text)
returns table (http_status integer, body text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    state text; message text; hint text; stale text;
begin
    perform set_config('mobeye.acting_as', person, true);
    begin
        body := case call when 'queue' then mobeye.queue_json()::text
                          else mobeye.board_call(call, id, mobeye.read_arguments(arguments))::text end;
        http_status := 200;
    exception when others then
        get stacked diagnostics state = returned_sqlstate, message = message_text, hint = pg_exception_hint,
                                stale = column_name;
        http_status := mobeye.http_status(state);
        if http_status is null then
            raise;
        end if;
    end;
    if http_status <> 200 then
        body := mobeye.refusal(person, state, message, hint)
                || case when http_status = 409
                        then coalesce(mobeye.conflict(coalesce(id, mobeye.number_argument(mobeye.read_arguments(arguments), 'incident_id')),
                                                      stale = 'expected_change'), '{}')
                        else '{}' end;
    end if;
    return next;
end
$$;
comment on function patrol.board(text, text, bigint, text) is
    'For the board: calls a function board_... as a person (which a proxy login may), and returns the HTTP status and the '
    'JSON to respond with. The person is set until the transaction ends. Errors that are not about the request are raised.';

create or replace function patrol.board_image(person text, id text, reason text)
returns table (http_status integer, body text, media_type text, image bytea)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    state text; message text; hint text;
begin
    perform set_config('mobeye.acting_as', person, true);
    begin
        perform mobeye.require_right('look');
        image := patrol.open_image(id::uuid, reason);
        media_type := (select s.media_type from mobeye.snapshot s where s.image_id = id::uuid);
        http_status := 200;
    exception when others then
        get stacked diagnostics state = returned_sqlstate, message = message_text, hint = pg_exception_hint;
        http_status := mobeye.http_status(state);
        if http_status is null then
            raise;
        end if;
        body := mobeye.refusal(person, state, message, hint);
    end;
    return next;
end
$$;
comment on function patrol.board_image(text, text, text) is
    'For the board: patrol.open_image() as a person, with the media type; or the HTTP status and JSON of the refusal.';

create or replace function patrol.board_changes(people text[], after bigint)
returns table (person text, event text, change_id bigint, data text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    last bigint := mobeye.change_count();
    first bigint := coalesce((select min(c.change_id) from mobeye.change c), last + 1);
    until bigint := least(last, greatest(after, first - 1) + 1000);
    kept boolean := after = 0 or after between first - 1 and last;
    v mobeye.viewer;
    who text;
begin
    foreach who in array people loop
        if not exists (select from mobeye.person p where p.login = who) then
            return query select who, 'gone', null::bigint, null::text;
            continue;
        end if;
        continue when not kept or until = after;
        perform set_config('mobeye.acting_as', who, true);
        v := mobeye.current_viewer();
        if v.is_officer or v.is_auditor then
            return query select who, 'change', c.change_id, to_jsonb(c)::text
                           from patrol.changes c where c.change_id > after and c.change_id <= until;
        elsif v.is_registrar then
            return query select who, 'change', c.change_id, to_jsonb(c)::text
                           from patrol.changes c where c.change_id > after and c.change_id <= until and c.category = 'service';
        end if;
    end loop;
    perform set_config('mobeye.acting_as', '', true);
    return query select null::text, case when kept then 'until' else 'reset' end, case when kept then until else last end,
                        last::text;
end
$$;
comment on function patrol.board_changes(text[], bigint) is
    'For the board: for each person the changes after a change_id that they see ("change"), or "gone" if they are not '
    'registered; then a row with the change_id that was reached ("until") and the last one as data. Where changes after '
    'that change_id are no longer kept, only "reset" with the last change_id. At most 1000 numbers at once.';
