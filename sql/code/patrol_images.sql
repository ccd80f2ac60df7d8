-- Images as patrols and auditors see them.

-- A scalar sub-select: the planner may turn EXISTS into a list of all incidents in sight. What is hidden is computed, as in
-- patrol.alerts: a condition on it is evaluated on the images in sight.
create or replace view patrol.images with (security_barrier) as
select s.image_id, s.incident_id, case when x.exact then s.device_id end as device_id, s.occurred_at,
       case when x.exact then s.media_type end as media_type, case when x.exact then s.width end as width,
       case when x.exact then s.height end as height, case when x.exact then s.bytes end as bytes,
       case when x.exact then encode(s.sha256, 'hex') end as sha256, case when x.exact then s.score end as score
  from mobeye.snapshot as s
 cross join lateral (
       select (select not i.coarse from mobeye.incident_seen i where i.incident_id = s.incident_id) as exact offset 0) as x
 where x.exact
 order by s.occurred_at desc;
comment on view patrol.images is
    'The images of the incidents that the reader sees exactly, without their pixels: patrol.open_image() returns those. '
    'Auditors find them by patrol.open_incident().';
comment on column patrol.images.image_id is 'Its number.';
comment on column patrol.images.incident_id is 'The incident of its alert.';
comment on column patrol.images.device_id is 'The device of its alert.';
comment on column patrol.images.occurred_at is 'When its alert occurred.';
comment on column patrol.images.media_type is 'image/jpeg, image/png or image/webp, by its first bytes.';
comment on column patrol.images.width is 'In pixels, as its header says; null if that cannot be read.';
comment on column patrol.images.height is 'In pixels, as its header says; null if that cannot be read.';
comment on column patrol.images.bytes is 'Its size.';
comment on column patrol.images.sha256 is 'SHA-256 of its bytes, in hex.';
comment on column patrol.images.score is 'The score of its alert, 0 to 1; null if the camera gave none.';

create or replace function mobeye.images_of(incident_id bigint, pixels boolean default false) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'image_id', s.image_id, 'device_id', s.device_id, 'occurred_at', s.occurred_at, 'media_type', s.media_type,
               'width', s.width, 'height', s.height, 'bytes', s.bytes, 'sha256', encode(s.sha256, 'hex'),
               'score', s.score)
               || case when pixels then jsonb_build_object('base64', translate(encode(s.image, 'base64'), e'\n', ''))
                  else '{}' end order by s.occurred_at, s.image_id), '[]')
      from mobeye.snapshot s where s.incident_id = images_of.incident_id
$$;
comment on function mobeye.images_of(bigint, boolean) is
    'The images of an incident, oldest first, without or with their pixels; nothing is hidden.';

create or replace function mobeye.sees_exactly(i mobeye.incident_full, v mobeye.viewer) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select v.is_auditor or not i.secret or coalesce(v.team in (i.team, i.secret_team) or i.assigned_to = v.login, false)
$$;
comment on function mobeye.sees_exactly(mobeye.incident_full, mobeye.viewer) is
    'Whether a viewer who sees an incident may know its place when they open it; an auditor may.';

create or replace function patrol.open_image(image_id uuid, reason text default null) returns bytea
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
    actor text := mobeye.actor();
    i mobeye.incident_full;
    found_image bytea;
begin
    reason := nullif(btrim(reason), '');
    if reason is not null or mobeye.must_give_reason(v) then
        perform mobeye.require_text('the reason', reason);
    end if;
    select f.* into i
      from mobeye.snapshot s
      join mobeye.incident_full f on f.incident_id = s.incident_id
     where s.image_id = open_image.image_id;
    if i.incident_id is null or not mobeye.can_see(i.team, i.areas, i.assigned_to, v) or not mobeye.sees_exactly(i, v) then
        raise exception 'image % does not exist, or belongs to another team', coalesce(image_id::text, 'null')
            using errcode = 'no_data_found', hint = 'patrol.images lists the images that you see; they are erased by age.';
    end if;
    perform mobeye.add_history(i.incident_id, 'look', reason, image_id => open_image.image_id);
    -- The server's log keeps a look even if its transaction is rolled back.
    raise log 'mobeyed: % looked at image % of incident %', actor, image_id, i.incident_id;
    select s.image into found_image from mobeye.snapshot s where s.image_id = open_image.image_id;
    return found_image;
end
$$;
comment on function patrol.open_image(uuid, text) is
    'The bytes of an image of an incident that the viewer sees exactly. The look is recorded in the history of the incident, '
    'with the reason, which auditors must give.';
