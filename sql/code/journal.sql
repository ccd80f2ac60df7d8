-- Identities and journal positions, which the daemon stores with each batch.

-- Consistent lock order: new identities, then rows of existing ones, then own identities, each sorted. Concurrent daemons
-- cannot deadlock.
create or replace function mobeye.claim_conflicts(ids uuid[], devices bigint[], own_ids uuid[])
returns setof integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    today date := (now() at time zone 'utc')::date;
    positions integer[];
    taken uuid[];
begin
    select array_agg(g.n::integer order by own_ids[g.n]), array_agg(g.id) into positions, taken
      from unnest(ids, devices) with ordinality as g (id, device, n)
      join mobeye.alert_identity a on a.id = g.id
     where a.device <> g.device and a.device <> 0;
    if positions is null then
        return;
    end if;
    -- The conflicting identity is kept at least as long as the alert's own, or a resend could be stored under it.
    perform from mobeye.alert_identity a where a.id = any (taken) and a.stored_on < today order by a.id for update;
    update mobeye.alert_identity a set stored_on = today where a.id = any (taken) and a.stored_on < today;
    return query
    with new as (
        insert into mobeye.alert_identity as a (id, device, stored_on)
        select own_ids[p], devices[p], today from unnest(positions) as p
            on conflict do nothing returning a.id)
    select p from unnest(positions) as p join new n on n.id = own_ids[p];
end
$$;
comment on function mobeye.claim_conflicts(uuid[], bigint[], uuid[]) is
    'For alerts whose identities are stored already: the positions in the arrays of those that belong to another device than '
    'the stored alert and whose own identities are new.';

-- Guards against mistakes, not against a login of the daemon that is misused: that may insert identities too.
-- An alert in quarantine has its own identity. It may be stored under another one, that of (source, event_id); the hash of
-- the device beside that one is the first 64 bits of its own.
create or replace function mobeye.release_quarantined(quarantine_id bigint, identity uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from mobeye.quarantine q
     where q.id = quarantine_id
       and exists (select from mobeye.alert_identity a
                    where a.id in (q.identity, release_quarantined.identity)
                      and (q.identity is null or a.id = q.identity
                           or a.device = ('x' || left(replace(q.identity::text, '-', ''), 16))::bit(64)::bigint));
    if not found then
        raise exception 'quarantine: % cannot be released: its alert is not stored', quarantine_id
            using errcode = 'no_data_found';
    end if;
end
$$;
comment on function mobeye.release_quarantined(bigint, uuid) is
    'Deletes an alert from quarantine whose identity is stored. If its record could not be read, no identity is known, and '
    'that of (source, event_id) as the caller names it must be stored.';

create or replace function mobeye.journal_rewind(journal uuid, "position" bigint, checksum bigint) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    before bigint;
begin
    select p.position into before from mobeye.journal_position p where p.journal = journal_rewind.journal for update;
    if before is null then
        raise exception 'journal %: not known to the database', journal
            using errcode = 'no_data_found', hint = 'mobeye.journal_position lists the known journals.';
    end if;
    if ("position" between 0 and before) is not true then
        raise exception 'journal %: cannot be rewound to record % (it is stored up to record %)', journal, "position", before
            using errcode = 'invalid_parameter_value', hint = 'Expected 0 or more, and at most what is stored.';
    end if;
    if "position" < before then
        update mobeye.journal_position p
           set position = journal_rewind.position, checksum = journal_rewind.checksum, updated_at = now()
         where p.journal = journal_rewind.journal;
    end if;
    perform pg_notify('mobeye_journal', journal::text);
    return before;
end
$$;
comment on function mobeye.journal_rewind(uuid, bigint, bigint) is
    'Makes the daemon apply its journal again from the record after "position" and notifies it; returns the previous position.';
