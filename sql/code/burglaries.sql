-- Reported burglaries: who sees them, how they are erased, and legal holds.

create or replace view mobeye.burglary_located as
select b.*, array(select distinct on (a.layer) a.layer || ':' || a.code from mobeye.area a
                   where public.st_covers(a.geom, b.geom) and a.valid @> b.occurred_from
                   order by a.layer, a.vintage desc nulls last, a.code collate "C") as areas
  from mobeye.burglary b;
comment on view mobeye.burglary_located is
    'Burglaries with the areas in which they lay at their time, found as the daemon finds those of an alert.';

-- Like places of incidents: an officer sees those in the areas of the team, or in no team's areas, exactly.
create or replace view patrol.burglaries with (security_barrier) as
select case when b.exact then b.reference end as reference, b.occurred_from, b.occurred_until, b.attempt,
       case when b.exact then b.method end as method, case when b.exact then b.address end as address,
       (case when b.exact then b.geom else public.st_transform(mobeye.cell(mobeye.rd(b.geom)), 4326) end)::public.geometry(point, 4326) as geom,
       mobeye.area_code(b.areas, 'wijk') as wijk_code, mobeye.area_code(b.areas, 'buurt') as buurt_code,
       not b.exact as coarse
  from (select l.*,
               (select (mobeye.current_viewer()).is_owner or (mobeye.current_viewer()).is_registrar)
               or (select v.is_officer and not v.is_auditor from mobeye.current_viewer() as v)
                  and mobeye.can_see(null, l.areas, null, (select mobeye.current_viewer())) is true as exact
          from mobeye.burglary_located l) b
 where (select v.is_owner or v.is_registrar or v.is_auditor or v.is_officer and (v.all_teams or v.team is not null)
          from mobeye.current_viewer() as v);
comment on view patrol.burglaries is
    'Reported burglaries. Those outside the areas of the reader''s team, and for auditors all of them, are coarse.';
comment on column patrol.burglaries.reference is 'Number in the police''s records; null if coarse.';
comment on column patrol.burglaries.occurred_from is 'When it occurred at the earliest.';
comment on column patrol.burglaries.occurred_until is 'When it occurred at the latest; null if unknown.';
comment on column patrol.burglaries.attempt is 'Whether it was not completed. Do not add attempts to completed burglaries.';
comment on column patrol.burglaries.method is 'How the burglars came in; null if coarse.';
comment on column patrol.burglaries.address is 'Address of the home; null if coarse.';
comment on column patrol.burglaries.geom is 'The home, WGS84; if coarse, the centre of its 125 m cell; null if unknown.';
comment on column patrol.burglaries.wijk_code is 'District at that time; null if unknown.';
comment on column patrol.burglaries.buurt_code is 'Neighbourhood at that time; null if unknown.';
comment on column patrol.burglaries.coarse is 'Whether the reader may not see the home.';

create or replace function mobeye.erased_reference(reference text) returns uuid
language sql stable strict security definer
set search_path = pg_catalog, pg_temp
as $$
    select encode(substr(sha256(k.key || convert_to(erased_reference.reference, 'UTF8')), 1, 16), 'hex')::uuid
      from mobeye.erased_key k
$$;
comment on function mobeye.erased_reference(text) is
    'What is kept of the reference of an erased burglary, and of an erased address: a hash with the key of this installation. '
    'Without that key or the right to call this (members of mobeye_registry, who import burglaries) nobody can test guesses.';

create or replace function mobeye.erase_burglaries(ids bigint[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    insert into mobeye.area_stats as s (month, layer, code, figure, n)
    select date_trunc('month', b.occurred_from at time zone 'Europe/Amsterdam')::date, l.layer,
           coalesce(mobeye.area_code(b.areas, l.layer), ''),
           case when b.attempt then 'attempts' else 'burglaries' end, count(*)
      from mobeye.burglary_located b cross join mobeye.kept_layers() l
     where b.burglary_id = any (ids) and not b.counted
     group by 1, 2, 3, 4
    on conflict on constraint area_stats_pkey do update set n = s.n + excluded.n;
    insert into mobeye.burglary_erased (reference)
    select mobeye.erased_reference(b.reference) from mobeye.burglary b where b.burglary_id = any (ids)
    on conflict (reference) do update set at = excluded.at;
    delete from mobeye.burglary b where b.burglary_id = any (ids);
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.erase_burglaries(bigint[]) is
    'Erases burglaries after adding them to the statistics of every layer; returns how many there were.';

create or replace function mobeye.hold_burglary(reference text, held boolean, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.require_text('the reason', reason);
    update mobeye.burglary b set held_for = case when held then reason end where b.reference = hold_burglary.reference;
    if not found then
        raise exception 'burglary "%" does not exist', reference using errcode = 'no_data_found';
    end if;
    raise log 'burglary: legal hold % by %', case when held then 'begun' else 'ended' end, session_user;
end
$$;
comment on function mobeye.hold_burglary(text, boolean, text) is
    'Puts a burglary under a legal hold, or ends it: a burglary under a legal hold is not erased, nor replaced by an import.';

-- For a person's request: by address, in the way placements are found.
create or replace function mobeye.subject_burglaries(address text, from_at timestamptz, until_at timestamptz)
returns setof mobeye.burglary
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select b.* from mobeye.burglary b
     where lower(trim(b.address)) = lower(trim(subject_burglaries.address))
       and tstzrange(b.occurred_from, greatest(b.occurred_until, b.occurred_from), '[]') && tstzrange(from_at, until_at)
$$;
comment on function mobeye.subject_burglaries(text, timestamptz, timestamptz) is
    'The burglaries at an address in a period.';

create or replace function mobeye.erase_burglaries_at(address text, from_at timestamptz, until_at timestamptz,
                                                      out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    n := mobeye.erase_burglaries(array(select b.burglary_id from mobeye.subject_burglaries(address, from_at, until_at) b
                                        where b.held_for is null));
    if n > 0 then
        insert into mobeye.erasure (what, class, n) values ('burglaries', 'subject', erase_burglaries_at.n);
    end if;
    remaining := array(select format('burglary %s: under a legal hold', b.reference)
                         from mobeye.subject_burglaries(address, from_at, until_at) b);
end
$$;
comment on function mobeye.erase_burglaries_at(text, timestamptz, timestamptz) is
    'Erases the burglaries at an address in a period. Returns how many, and what remains and why.';

-- By the hashes that the log of erasures contains instead of their references.
create or replace function mobeye.erase_burglaries_again(hashes uuid[], out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    n := mobeye.erase_burglaries(array(select b.burglary_id from mobeye.burglary b
                                        where mobeye.erased_reference(b.reference) = any (hashes) and b.held_for is null));
    if n > 0 then
        insert into mobeye.erasure (what, class, n) values ('burglaries', 'subject', erase_burglaries_again.n);
    end if;
    remaining := array(select format('burglary %s: under a legal hold', b.reference)
                         from mobeye.burglary b where mobeye.erased_reference(b.reference) = any (hashes) order by b.reference);
end
$$;
comment on function mobeye.erase_burglaries_again(uuid[]) is
    'Erases burglaries that were erased before. Returns how many, and what remains and why.';
