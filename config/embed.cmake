# cmake -DOUTPUT=FILE.c -DNAME=NAME -DSAMPLE=FILE -P embed.cmake: the file as a text of ctl/setup/setup_sample.h.
file(READ ${SAMPLE} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"ctl/setup/setup_sample.h\"\n\nconst char ${NAME}[] = {\n    ${bytes}0};\n"
    "const size_t ${NAME}_len = sizeof(${NAME}) - 1;\n")
