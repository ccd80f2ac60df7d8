/* The variables of a unit are read as systemd reads them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
        {"=1\nB=2\n\n =\"3\nC=4", "B=2|C=4|"},
        {"A=a=b#c", "A=a=b#c|"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf out = {0};
        cr_expect_eq(unit_environment_of_file(&out, str_from(samples[i].text)), 0, "%s", samples[i].text);
        expect(&samples[i], &out);
    }
}

/* systemd 252 takes the next line for a part of it, 254 does not. */
Test(unit_environment, of_a_file_whose_comment_ends_with_a_backslash)
{
    static const char *const unsure[] = {"# old \\\nPGDATABASE=x", "; old \\\r\nA=1", "A=1\n  #\\\\\\\n"};
    static const char *const sure[] = {"# old \\\\\nPGDATABASE=x", "# old \\", "# a\\b\nA=1", "no assignment\\\nA=1"};
    struct buf out = {0};
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        cr_expect_eq(unit_environment_of_file(&out, str_from(unsure[i])), -1, "%s", unsure[i]);
    for (size_t i = 0; i < sizeof(sure) / sizeof(sure[0]); i++)
        cr_expect_eq(unit_environment_of_file(&out, str_from(sure[i])), 0, "%s", sure[i]);
    buf_free(&out);
}

Test(unit_environment, as_systemctl_prints_it)
{
    static const struct sample samples[] = {
        {"PGHOST=db PGPORT=5433", "PGHOST=db|PGPORT=5433|"},
        {"\"A=two words\" B=1", "A=two words|B=1|"},
        {"\"A=a\\tb\\nc\\177\\\\t\"", "A=a\tb\nc\177\\t|"},
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

enum { SOMEBODY = 65534 };

static void expect_check(const char *path, int errno_wanted)
{
    struct err err = {""};
    int rc = root_only_check(path, &err), found = rc == 0 ? 0 : errno;
    cr_expect_eq(found, errno_wanted, "%s: %s", path, err.text);
}

Test(unit_environment, a_file_is_only_roots_if_each_link_on_the_way_is)
{
    char base[] = "/run/mobeye-root-only.XXXXXX";
    if (geteuid() != 0)
        cr_skip("only root has files of others");
    cr_assert_not_null(mkdtemp(base));
    cr_assert_eq(chmod(base, 0755), 0);
    cr_assert_eq(chdir(base), 0);
    cr_assert_eq(mkdir("theirs", 0755), 0);
    cr_assert_eq(mknod("file", S_IFREG | 0644, 0), 0);
    cr_assert_eq(mknod("own", S_IFREG | 0600, 0), 0);
    static const char *const links[][2] = {
        {"file", "good"},       {"../file", "theirs/link"},   {"theirs/link", "through"},
        {"good", "two"},        {"theirs/../file", "around"}, {"circle", "circle"},
        {"absent", "dangling"}, {"theirs/absent", "awaited"},
    };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        cr_assert_eq(symlink(links[i][0], links[i][1]), 0);
    cr_assert_eq(lchown("theirs/link", SOMEBODY, SOMEBODY) | chown("own", SOMEBODY, SOMEBODY) |
                     chown("theirs", SOMEBODY, SOMEBODY),
                 0);
    static const struct {
        const char *name;
        int why;
    } expected[] = {{"file", 0},        {"good", 0},          {"two", 0},           {"through", EPERM},
                    {"around", EPERM},  {"theirs", EPERM},    {"own", EPERM},       {"circle", ELOOP},
                    {"absent", ENOENT}, {"dangling", ENOENT}, {"absent/x", ENOENT}, {"theirs/absent", EPERM},
                    {"awaited", EPERM}, {"./../", 0}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", base, expected[i].name);
        expect_check(path, expected[i].why);
    }
    expect_check("file", EINVAL);
    char own[128], remove[128];
    snprintf(own, sizeof(own), "%s/own", base);
    cr_expect_eq(root_only_check_for(SOMEBODY, own, NULL), 0);
    cr_expect_eq(root_only_check_for(SOMEBODY + 1, own, NULL), -1);
    snprintf(remove, sizeof(remove), "rm -r %s", base);
    cr_expect_eq(system(remove), 0);
}
