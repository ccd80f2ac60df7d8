-- After the files of sql/code: grants other roles again the privileges that an administrator had granted to them.
do $$
declare
    one record;
begin
    for one in select g.statement from code_grant g loop
        begin
            execute one.statement;
        exception when undefined_table or undefined_function then
            null; -- dropped, and its rights with it
        end;
    end loop;
end
$$;
drop view code_object;
