/* The variables of a unit are read as systemd reads them. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/lib/root_only.h"
#include "ctl/lib/unit_environment.h"

struct sample {
    const char *text;
    const char *variables; /* each ends with | */
};

static void expect(const struct sample *sample, struct buf *out)
{
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\0')
            out->data[i] = '|';
    cr_expect(str_is(buf_str(out), sample->variables), "%s: %.*s", sample->text, (int)out->len, out->data);
    buf_free(out);
}

Test(unit_environment, of_a_file)
{
    static const struct sample samples[] = {
        {"PGHOST=db", "PGHOST=db|"},
        {"A=1\nB=2\r\n\n  C = 3 \nD=", "A=1|B=2|C=3|D=|"},
        {"# A=1\n;B=2\n  #C=3\nno assignment\nD=4", "D=4|"},
        {"A=two words  \nB=x", "A=two words|B=x|"},
        {"A=\"two words \" \nB='it\\s'\nC=\"a\\\"b\\$c\\d\"", "A=two words |B=it\\s|C=a\"b$c\\d|"},
        {"A=one\\\n two\nB=\"a\\\nb\"\nC='a\nb'", "A=one two|B=ab|C=a\nb|"},
        {"A='one'\"two\" three\nB=it's\nC=a\\ b\\=c", "A=onetwothree|B=it's|C=a b=c|"},
        {"A='open", "A=open|"},
        {"A=a=b#c", "A=a=b#c|"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf out = {0};
        unit_environment_of_file(&out, str_from(samples[i].text));
        expect(&samples[i], &out);
    }
}

Test(unit_environment, as_systemctl_prints_it)
{
    static const struct sample samples[] = {
        {"PGHOST=db PGPORT=5433", "PGHOST=db|PGPORT=5433|"},
        {"\"A=two words\" B=1", "A=two words|B=1|"},
        {"\"A=it's \\\"x\\\" \\\\ \\$\"", "A=it's \"x\" \\ $|"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf out = {0};
        unit_environment_of_property(&out, samples[i].text);
        expect(&samples[i], &out);
    }
}

Test(unit_environment, a_file_is_only_roots_if_its_directories_are)
{
    struct err err;
    cr_expect_eq(root_only_check("/nonexistent", &err), -1);
    cr_expect_str_eq(err.text, "/nonexistent: No such file or directory");
    cr_expect_eq(root_only_check("/tmp/.", &err), -1);
    cr_expect_str_eq(err.text, "/tmp/. is not only root's to change");
    cr_expect_eq(root_only_check("/proc/version", &err), 0);
}
