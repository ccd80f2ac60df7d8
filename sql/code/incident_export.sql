-- One incident as evidence.

create or replace function mobeye.incident_export(id bigint, reason text, out document text, out sha256 text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
    i mobeye.incident;
begin
    perform mobeye.require_text('the reason', reason);
    select * into i from mobeye.incident t where t.incident_id = id;
    if i.incident_id is null then
        raise exception 'incident % does not exist', coalesce(id::text, 'null') using errcode = 'no_data_found';
    end if;
    document := jsonb_pretty(jsonb_build_object(
        'exported_at', clock_timestamp(), 'exported_by', mobeye.actor(), 'reason', reason, 'database', current_database(),
        'incident', (select to_jsonb(t) - '{geom,coarse,text,input_label}'::text[]
                            || jsonb_build_object('geometry', public.st_asgeojson(t.geom, 7)::jsonb)
                       from patrol.incidents t where t.incident_id = id),
        'rules', (select jsonb_build_object('hash', r.rules, 'text', r.text) from mobeye.ruleset r where r.rules = i.rules),
        'alerts', (select coalesce(jsonb_agg(to_jsonb(a) - 'geom'
                                             || jsonb_build_object('geometry', public.st_asgeojson(a.geom, 7)::jsonb)
                                             order by a.received_at, a.instance, a.journal_seq), '[]')
                     from patrol.alerts a
                    where a.incident_id = id and a.occurred_at between i.first_seen - coalesce(i.gap, '0')
                                                                   and i.last_seen + coalesce(i.gap, '0')),
        'images', mobeye.images_of(id, pixels => true),
        'history', (select coalesce(jsonb_agg(to_jsonb(h) - '{incident_id,last_change}'::text[] order by h.entry), '[]')
                      from mobeye.incident_history h where h.incident_id = id),
        'changes', (select coalesce(jsonb_agg(to_jsonb(c) - '{incident_id,entry}'::text[] order by c.entry), '[]')
                      from mobeye.change c where c.incident_id = id)));
    sha256 := encode(sha256(convert_to(document || e'\n', 'UTF8')), 'hex');
    perform mobeye.add_history(id, 'look', format('export, sha256 %s: %s', sha256, reason));
    raise log 'mobeyed: % exported incident %, sha256 %', mobeye.actor(), id, sha256;
end
$$;
comment on function mobeye.incident_export(bigint, text) is
    'An incident with its alerts, images (in base64), history, changes and the rules that created it, as a JSON document, and the SHA-256 of the '
    'document with a final line feed. Both the look and the hash are recorded in its history. For the owner.';
