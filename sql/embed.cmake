# cmake -DOUTPUT=FILE.c -DMIGRATIONS=A.sql;... -DCODE=B.sql;... -DSTEPS=C.sql;... -P embed.cmake: the files as the tables of
# store/migrations.h.
set(texts "")

# Appends `static const char text_NAME[]`, or with a linkage of its own.
function(embed linkage name file)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    set(texts "${texts}${linkage}const char ${name}[] = {\n    ${bytes}0};\n\n" PARENT_SCOPE)
endfunction()

set(migration_table "")
list(SORT MIGRATIONS)
foreach(file IN LISTS MIGRATIONS)
    get_filename_component(name ${file} NAME_WE)
    string(REGEX MATCH "^[0-9]+" number ${name})
    math(EXPR number "1${number} - 10000")
    embed("static " text_${number} ${file})
    string(APPEND migration_table "    {${number}, \"${name}\", text_${number}},\n")
endforeach()

set(code_table "")
foreach(file IN LISTS CODE)
    get_filename_component(name ${file} NAME_WE)
    file(SHA256 ${file} hash)
    embed("static " text_${name} ${file})
    string(APPEND code_table "    {\"${name}\", \"${hash}\", text_${name}},\n")
endforeach()

foreach(file IN LISTS STEPS)
    get_filename_component(name ${file} NAME_WE)
    embed("" schema_code_${name} ${file})
endforeach()

file(WRITE ${OUTPUT} "#include \"store/migrations.h\"\n\n${texts}"
    "const struct migration migrations[] = {\n${migration_table}};\n"
    "const size_t migrations_n = sizeof(migrations) / sizeof(migrations[0]);\n"
    "const struct schema_code schema_code[] = {\n${code_table}};\n"
    "const size_t schema_code_n = sizeof(schema_code) / sizeof(schema_code[0]);\n")
