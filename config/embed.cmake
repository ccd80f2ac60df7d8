# cmake -DOUTPUT=FILE.c -DSAMPLE=mobeyed.yaml -P embed.cmake: the file as the text of ctl/setup_sample.h.
file(READ ${SAMPLE} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"ctl/setup_sample.h\"\n\nconst char setup_sample[] = {\n    ${bytes}0};\n"
    "const size_t setup_sample_len = sizeof(setup_sample) - 1;\n")
