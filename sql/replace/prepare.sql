-- Before the files of sql/code are applied: records which objects exist, and revokes what the roles of mobeyed were granted.
set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- Functions refer to each other and to views of later files.
set local check_function_bodies = off;

-- The objects of the program in its schemas. Functions that a stored column depends on belong to the migrations. "place" is
-- the location of its row in the catalog: it changes when the object is replaced.
create temporary view code_object as
select 'function' as type, p.oid::regprocedure::text as name, p.tableoid as catalog, p.oid, p.ctid as place, p.proacl as acl
  from pg_proc p
 where p.pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and p.proowner = to_regrole('mobeye_owner')
   and p.prokind = 'f'
   and not exists (select from pg_depend d
                    where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and d.classid = 'pg_attrdef'::regclass)
union all
select 'view', c.oid::regclass::text, c.tableoid, c.oid, r.ctid, c.relacl
  from pg_class c
  join pg_rewrite r on r.ev_class = c.oid
 where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and c.relkind = 'v'
   and c.relowner = to_regrole('mobeye_owner')
union all
select 'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass), t.tableoid, t.oid, t.ctid, null
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
 where c.relnamespace = 'mobeye'::regnamespace and c.relowner = to_regrole('mobeye_owner') and not c.relispartition
   and not t.tgisinternal;

-- Rights that an administrator granted to other roles.
create temporary table code_grant on commit drop as
select format('grant %s on %s %s to %s%s', a.privilege_type, case o.type when 'function' then 'function' else 'table' end,
              o.name, case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
              case when a.is_grantable then ' with grant option' else '' end) as statement
  from code_object o
 cross join lateral aclexplode(o.acl) a
 where a.grantee not in ('mobeye_owner'::regrole, 'mobeye_ingest'::regrole, 'mobeye_patrol'::regrole,
                         'mobeye_registry'::regrole, 'mobeye_auditor'::regrole, 'mobeye_analyst'::regrole,
                         'mobeye_board'::regrole);

do $$
declare
    granted record;
begin
    for granted in
        select distinct g.type, g.name, g.grantee::regrole as role
          from (select 'schema' as type, n.oid::regnamespace::text as name, a.grantee
                  from pg_namespace n cross join lateral aclexplode(n.nspacl) a
                 where n.nspname in ('mobeye', 'patrol')
                union all
                select 'function', p.oid::regprocedure::text, a.grantee
                  from pg_proc p cross join lateral aclexplode(p.proacl) a
                 where p.pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and p.prokind = 'f'
                   and p.proowner = to_regrole('mobeye_owner')
                union all
                select 'table', c.oid::regclass::text, a.grantee
                  from pg_class c cross join lateral aclexplode(c.relacl) a
                 where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)
                   and c.relowner = to_regrole('mobeye_owner')
                union all
                select 'table', c.oid::regclass::text, a.grantee
                  from pg_class c
                  join pg_attribute t on t.attrelid = c.oid
                 cross join lateral aclexplode(t.attacl) a
                 where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)
                   and c.relowner = to_regrole('mobeye_owner')) g
         where g.grantee in ('mobeye_ingest'::regrole, 'mobeye_patrol'::regrole, 'mobeye_registry'::regrole,
                             'mobeye_auditor'::regrole, 'mobeye_analyst'::regrole, 'mobeye_board'::regrole)
    loop
        execute format('revoke all on %s %s from %s', granted.type, granted.name, granted.role);
    end loop;
end
$$;

create temporary table code_before on commit drop as
select type, name, catalog, oid, place from code_object;
