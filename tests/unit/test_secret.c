/* Which files are secrets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "conf/load.h"

static char folder[] = "/tmp/mobeyed-secret-XXXXXX", path[64];

static void setup(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/key", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(secret, .init = setup, .fini = teardown);

static void put(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

/* Its text, or what is wrong with it. */
static const char *read_of(const char *source)
{
    static char text[1024];
    struct buf secret = {0};
    struct err err = {""};
    int rc = secret_read(source, 16, &secret, &err);
    snprintf(text, sizeof(text), "%.*s", rc == 0 ? (int)secret.len : (int)sizeof(text) - 1,
             rc == 0 ? secret.data : err.text);
    secret_free(&secret);
    return text;
}

static void expect_refusal(const char *source, const char *why)
{
    const char *text = read_of(source);
    cr_expect_eq(strncmp(text, source, strlen(source)), 0, "%s", text);
    cr_expect_not_null(strstr(text, why), "%s", text);
}

static void expect_line(const char *text, const char *line)
{
    char *got = NULL;
    struct err err;
    put(text, 0600);
    cr_expect_eq(secret_read_line(path, &got, &err), line ? 0 : -1, "%s", text);
    if (line)
        cr_expect_str_eq(got, line);
    else
        cr_expect_not_null(strstr(err.text, "the first line is empty"), "%s", err.text);
    secret_free_text(&got);
}

Test(secret, its_first_line_is_read)
{
    expect_line("pass word", "pass word");
    expect_line("one\n", "one");
    expect_line("one\r\ntwo\n", "one");
    expect_line("\ntwo\n", NULL);
    expect_line("", NULL);
}

Test(secret, a_file_of_its_owner_alone_is_read)
{
    put("secret", 0600);
    cr_expect_str_eq(read_of(path), "secret");
    put("", 0400);
    cr_expect_str_eq(read_of(path), "");
}

Test(secret, a_file_that_others_may_use_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0601, 0660, 0644, 0777};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        put("secret", modes[i]);
        expect_refusal(path, "gives other users access");
    }
}

Test(secret, what_is_no_small_file_is_refused)
{
    put("seventeen letters", 0600);
    expect_refusal(path, "is too large (expected at most 16 bytes)");
    expect_refusal(folder, "not a regular file");
    expect_refusal("/nonexistent/key", "No such file");
}

Test(secret, another_users_file_is_refused)
{
    if (geteuid() != 0)
        cr_skip("only root can make a file another's");
    put("secret", 0600);
    cr_assert_eq(chown(path, 65534, 65534), 0);
    cr_expect_str_eq(read_of(path), "secret", "root reads anybody's");
    cr_assert_eq(chmod(folder, 0755), 0);
    cr_assert_eq(chown(path, 1, 1), 0);
    cr_assert_eq(chmod(path, 0600), 0);
    cr_assert_eq(setegid(65534), 0);
    cr_assert_eq(seteuid(65534), 0);
    expect_refusal(path, "Permission denied");
    cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(setegid(0), 0);
}

Test(secret, a_credential_is_a_file_of_the_service_manager)
{
    unsetenv("CREDENTIALS_DIRECTORY");
    expect_refusal("credential:key", "LoadCredential=key:");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    expect_refusal("credential:key", "No such file");
    put("secret", 0440); /* systemd may give the right to read by an ACL, which shows as the group's */
    cr_expect_str_eq(read_of("credential:key"), "secret");
    cr_expect_not(secret_out_of_reach("credential:key"));
    cr_expect(secret_out_of_reach("credential:other"));
    cr_expect_not(secret_out_of_reach("/nonexistent/key"), "a file that is missing is a mistake");
}

/* ---- the key of CURVE in it ---- */

#define KEY "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

static void expect_key(const char *text, const char *why)
{
    char *key = NULL;
    struct err err = {""};
    put(text, 0600);
    int rc = conf_read_key(path, &key, &err);
    cr_expect_eq(rc, why ? -1 : 0, "%s", err.text);
    if (why)
        cr_expect_not_null(strstr(err.text, why), "%s", err.text);
    else
        cr_expect_str_eq(key, KEY);
    cr_expect_null(strstr(err.text, "verysecret"));
    secret_free_text(&key);
}

Test(secret, a_key_stands_alone_in_its_file)
{
    expect_key(KEY, NULL);
    expect_key(KEY "\n", NULL);
    expect_key(KEY " \r\n\n", NULL);
    expect_key("", "is empty");
    expect_key("\n", "is empty");
    expect_key("verysecret\n", "does not contain a key");
    expect_key(KEY "\n" KEY "\n", "does not contain a key");
    expect_key("secret-key = \"" KEY "\"\n", "does not contain a key");
    expect_key(" " KEY "\n", "does not contain a key");
}

/* One secret key in 85 begins like a path: it must not appear in an error. */
Test(secret, a_key_in_the_place_of_its_file_is_not_told)
{
    static const char *const keys[] = {"/erysecretverysecretverysecretverysecret",
                                       "verysecretverysecretverysecretverysecret"};
    for (size_t i = 0; i < 2; i++) {
        char text[1024];
        struct buf report = {0};
        put("", 0600);
        snprintf(text, sizeof(text), "security: {server_key: \"%s\", clients: %s}\n", keys[i], path);
        FILE *file = fopen(path, "w");
        fputs(text, file);
        fclose(file);
        cr_expect_null(conf_load_whole(path, NULL, NULL, &report));
        cr_expect(report.len > 0 && !memmem(report.data, report.len, "erysecret", 9), "%.*s", (int)report.len,
                  report.data);
        buf_free(&report);
    }
}
