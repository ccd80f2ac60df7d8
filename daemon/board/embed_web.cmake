# cmake -DOUTPUT=FILE.c -DFOLDER=WEB -DFILES=A;B;... -P embed_web.cmake: the files as the table of board/web_file.h.
set(types html=text/html css=text/css js=text/javascript mjs=text/javascript json=application/json svg=image/svg+xml
    png=image/png ico=image/x-icon woff2=font/woff2 txt=text/plain webmanifest=application/manifest+json
    wav=audio/wav ogg=audio/ogg)
set(texts "")
set(table "")
set(n 0)
foreach(file IN LISTS FILES)
    file(RELATIVE_PATH path ${FOLDER} ${file})
    get_filename_component(extension ${file} LAST_EXT)
    string(SUBSTRING "${extension}" 1 -1 extension)
    if(NOT "${types}" MATCHES "(^|;)${extension}=([^;]+)")
        message(FATAL_ERROR "${file}: its type is not in the list of embed_web.cmake")
    endif()
    set(type ${CMAKE_MATCH_2})
    if(type MATCHES "^text/|json|svg")
        string(APPEND type "; charset=utf-8")
    endif()
    file(SHA256 ${file} hash)
    string(SUBSTRING ${hash} 0 32 hash)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND texts "static const unsigned char bytes_${n}[] = {\n    ${bytes}0};\n\n")
    string(APPEND table
        "    {\"/${path}\", \"${type}\", \"\\\"${hash}\\\"\", bytes_${n}, sizeof(bytes_${n}) - 1},\n")
    math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"board/web_file.h\"\n\n${texts}"
    "const struct web_file web_files[] = {\n${table}};\n"
    "const size_t web_files_n = sizeof(web_files) / sizeof(web_files[0]);\n")
