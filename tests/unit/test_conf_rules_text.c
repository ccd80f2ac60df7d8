/* What is stored of the rules: their text as written and the time zone, and nothing else of the file. */
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "conf/load.h"

#define HEAD                                                                                                           \
    "instance: i\n"                                                                                                    \
    "database: {conninfo: \"host=a password=verysecret\"}\n"                                                           \
    "journal: {directory: /j}\n"                                                                                       \
    "endpoints: [{name: e, bind: \"ipc:///e\", socket: router, format: cloudevents}]\n"

static struct conf *parse(const char *text, size_t len)
{
    struct buf report = {0};
    struct conf *conf = conf_parse("f", text, len, &report);
    cr_assert_not_null(conf, "%.*s", (int)report.len, report.len ? report.data : "");
    buf_free(&report);
    return conf;
}

static void expect_text(const char *file, const char *kept)
{
    struct conf *conf = parse(file, strlen(file));
    cr_expect_str_eq(conf->rules_text, kept);
    cr_expect_null(strstr(conf->rules_text, "verysecret"));
    conf_free(&conf);
}

Test(conf_rules_text, is_the_text_of_the_file_with_its_comments)
{
    expect_text(HEAD "timezone: UTC\n"
                     "# before\n"
                     "rules:   # why\n"
                     "  # the first\n"
                     "  - name: a   # a\n"
                     "    action: store\n"
                     "\n"
                     "  # the second\n"
                     "  - {name: \"\xc3\xa9\", # text\n"
                     "     action: store}  # last\n"
                     "# after: password=verysecret\n"
                     "http: {listen: \"127.0.0.1:1\"}\n",
                "timezone: UTC\n"
                "rules:   # why\n"
                "  # the first\n"
                "  - name: a   # a\n"
                "    action: store\n"
                "\n"
                "  # the second\n"
                "  - {name: \"\xc3\xa9\", # text\n"
                "     action: store}  # last\n");
}

Test(conf_rules_text, does_not_depend_on_where_the_rules_are)
{
    static const char kept[] = "timezone: Europe/Amsterdam\nrules: [{name: a, action: store}]\n";
    expect_text(HEAD "rules: [{name: a, action: store}]", kept);
    expect_text(HEAD "rules: [{name: a, action: store}]\n", kept);
    expect_text("rules: [{name: a, action: store}]\n" HEAD, kept);
    expect_text("\xef\xbb\xbf# \xe2\x82\xac\nrules: [{name: a, action: store}]\n" HEAD, kept);
    expect_text("{rules: [{name: a, action: store}], instance: i, database: {conninfo: \"host=verysecret\"}, "
                "journal: {directory: /j}, endpoints: [{name: e, bind: \"ipc:///e\", socket: router, "
                "format: cloudevents}]}",
                kept);
}

Test(conf_rules_text, ends_with_the_last_value)
{
    expect_text(HEAD "rules:\n- name: a\n  action:\n    store\n\n\n# password=verysecret\n\n",
                "timezone: Europe/Amsterdam\nrules:\n- name: a\n  action:\n    store\n");
    expect_text(HEAD "rules:\r\n- name: a\r\n  action: \"store\" # so\r\n# password=verysecret\r\n",
                "timezone: Europe/Amsterdam\nrules:\r\n- name: a\r\n  action: \"store\" # so\n");
}

Test(conf_rules_text, without_rules_is_the_time_zone)
{
    expect_text(HEAD, "timezone: Europe/Amsterdam\n");
    expect_text(HEAD "rules: []\n", "timezone: Europe/Amsterdam\nrules: []\n");
}

static void expect_hash(const char *one, const char *other, bool same)
{
    struct conf *a = parse(one, strlen(one)), *b = parse(other, strlen(other));
    cr_expect_eq(memcmp(a->rules_hash, b->rules_hash, sizeof(a->rules_hash)) == 0, same, "%s\n%s", one, other);
    conf_free(&a);
    conf_free(&b);
}

Test(conf_rules_text, its_hash_depends_on_nothing_else)
{
    static const char rules[] = HEAD "rules: [{name: a, action: store}]\n";
    expect_hash(rules, rules, true);
    expect_hash(rules, HEAD "http: {listen: \"127.0.0.1:1\"}\nrules: [{name: a, action: store}]\n", true);
    expect_hash(rules, HEAD "timezone: Europe/Amsterdam\nrules: [{name: a, action: store}]\n", true);
    expect_hash(rules, HEAD "timezone: UTC\nrules: [{name: a, action: store}]\n", false);
    expect_hash(rules, HEAD "rules: [{name: b, action: store}]\n", false);
    expect_hash(rules, HEAD "rules: [{name: a, action: store}] # other\n", false);
}

/* Computed with another implementation: Python's hashlib.blake2b of the text. */
Test(conf_rules_text, its_hash_is_blake2b)
{
    static const uint8_t expected[16] = {0xb4, 0x71, 0x93, 0xed, 0x06, 0x89, 0x73, 0x01,
                                         0x77, 0x04, 0x9b, 0x00, 0xfe, 0xe9, 0xd9, 0x3d};
    static const char rules[] = HEAD "rules: [{name: a, action: store}]\n";
    struct conf *conf = parse(rules, strlen(rules));
    cr_expect_arr_eq(conf->rules_hash, expected, sizeof(expected));
    conf_free(&conf);
}
