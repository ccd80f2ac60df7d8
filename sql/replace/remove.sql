-- Drops the objects that have not been replaced since prepare.sql: run after the files of sql/code, those that are no longer
-- in the files; run before them, all objects.
do $$
declare
    object record;
    blocked text;
    dropped boolean := true;
begin
    while dropped loop -- objects depend on each other: again, until nothing more can be dropped
        dropped := false;
        blocked := null;
        for object in
            select b.type, b.name from code_before b
              join code_object o on o.catalog = b.catalog and o.oid = b.oid and o.place = b.place
             order by b.type <> 'trigger' -- one on a view is dropped with it, and no longer exists then
        loop
            begin
                execute format('drop %s %s', object.type, object.name);
                dropped := true;
            exception when dependent_objects_still_exist then
                get stacked diagnostics blocked = pg_exception_detail;
            end;
        end loop;
    end loop;
    if blocked is not null then
        raise exception 'code: % % cannot be dropped', object.type, object.name
            using errcode = 'dependent_objects_still_exist', detail = blocked,
                  hint = 'Drop what depends on it, migrate, and create it again.';
    end if;
end
$$;
