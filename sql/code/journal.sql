-- Journal positions, which the daemon stores with each batch, and alerts that leave quarantine.

-- Guards against mistakes, not against misuse of the daemon's login, which may insert identities too.
-- An alert in quarantine has its own identity. It may be stored under another one, that of (source, event_id); the hash of the
-- device stored with that one is the first 64 bits of its own.
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
           set position = journal_rewind.position, checksum = journal_rewind.checksum -- not updated_at: this stores nothing
         where p.journal = journal_rewind.journal;
    end if;
    perform pg_notify('mobeye_journal', journal::text);
    return before;
end
$$;
comment on function mobeye.journal_rewind(uuid, bigint, bigint) is
    'Makes the daemon apply its journal again from the record after "position" and notifies it; returns the previous position.';
