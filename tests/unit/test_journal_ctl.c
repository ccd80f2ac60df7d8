/* mobeyectl journal: what it prints of a sound journal, a damaged one, and one that is being written. */
#include "test_journal_support.h"

#include <getopt.h>
#include <math.h>

#include "ctl/lib/ctl.h"
#include "model/record.h"

TestSuite(journal_ctl, .init = test_dir_make, .fini = test_dir_remove);

static void append_alert(struct journal *journal, const char *id)
{
    struct buf out = {0};
    struct err err = {""};
    struct alert alert = {
        .format = ALERT_CLOUDEVENTS,
        .source = STR("/gw"),
        .event_id = str_from(id),
        .device = STR("NL-1"),
        .kind = KIND_MOTION,
        .kind_word = STR("motion"),
        .input = ALERT_NO_INT,
        .occurred_us = WALL,
        .received_us = WALL,
        .skew_us = ALERT_NO_TIME,
        .fix_us = ALERT_NO_TIME,
        .battery_pct = ALERT_NO_INT,
        .signal_dbm = ALERT_NO_INT,
        .accuracy_m = NAN,
        .camera.score = NAN,
        .payload = STR("{\"a\": \"b\"}"),
        .endpoint = STR("cam\033"),
    };
    uint64_t seq;
    record_pack(&out, &alert);
    cr_assert_eq(journal_append(journal, buf_str(&out), WALL, &seq, &err), JOURNAL_APPENDED, "%s", err.text);
    buf_free(&out);
}

static void make_journal(bool clean)
{
    static const char *const ids[] = {"id-1", "id-2", "id-3"};
    struct journal *journal = open_journal(SMALL, NULL);
    for (size_t i = 0; i < 3; i++) {
        append_alert(journal, ids[i]);
        sync_journal(journal);
    }
    if (clean)
        close_journal(&journal);
    else
        journal_free(&journal);
}

/* Runs the verb on the journal; what it prints is in `printed` afterwards. */
static char printed[20000];

static int run(const char *action, const char *option, const char *value)
{
    char directory[8192];
    snprintf(directory, sizeof(directory), "--directory=%s", in_dir("journal"));
    const char *args[] = {"journal", action, directory, option, value, NULL};
    int argc = value ? 5 : option ? 4 : 3;
    optind = 0;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), fd = open(in_dir("out"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert(saved >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    int status = ctl_journal(argc, (char **)(uintptr_t)args);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    memset(printed, 0, sizeof(printed));
    load_file(in_dir("out"), printed, sizeof(printed) - 1);
    return status;
}

static void damage(off_t at)
{
    int fd = open(in_dir("journal/%020d.seg", 1), O_RDWR);
    cr_assert_eq(pwrite(fd, "\xa5", 1, at), 1);
    close(fd);
}

Test(journal_ctl, list_has_a_line_a_segment)
{
    make_journal(true);
    cr_assert_eq(run("list", NULL, NULL), CTL_OK);
    cr_assert(strstr(printed, "00000000000000000001.seg"), "%s", printed);
    cr_assert_eq(run("list", "--json", NULL), CTL_OK);
    cr_assert(strstr(printed, "\"first\": 1, \"last\": 3, \"records\": 3, \"bytes\": 131072"), "%s", printed);
    cr_assert(strstr(printed, "\"stored\": null"), "%s", printed);
}

Test(journal_ctl, dump_prints_records_and_escapes_what_a_terminal_would_obey)
{
    make_journal(true);
    setenv("TZ", "Europe/Amsterdam", 1);
    cr_assert_eq(run("dump", NULL, NULL), CTL_OK);
    cr_assert(strstr(printed, "1  2026-09-21 16:13:20+0200  cam\\x1b  NL-1  motion  raise  /gw  id-1\n"), "%s",
              printed);
    cr_assert(strstr(printed, "3  ") && strstr(printed, "id-3"));
    cr_assert_eq(run("dump", "--from", "2"), CTL_OK);
    cr_assert(!strstr(printed, "id-1") && strstr(printed, "id-2") && strstr(printed, "id-3"));
    cr_assert_eq(run("dump", "--to", "2"), CTL_OK);
    cr_assert(strstr(printed, "id-1") && strstr(printed, "id-2") && !strstr(printed, "id-3"));
    cr_assert_eq(run("dump", "--json", NULL), CTL_OK);
    cr_assert(strstr(printed, "\"event_id\": \"id-2\""), "%s", printed);
    cr_assert(strstr(printed, "\"payload\": \"{\\\"a\\\": \\\"b\\\"}\"}\n"), "%s", printed);
}

Test(journal_ctl, verify_names_damage_and_changes_nothing)
{
    static char before[1 << 18], after[1 << 18];
    make_journal(true);
    cr_assert_eq(run("verify", NULL, NULL), CTL_OK);
    cr_assert_str_empty(printed);
    damage(512 + 128 + 12 + 5); /* a byte of record 1 */
    damage(1024 + 3);           /* a header */
    size_t len = load_file(in_dir("journal/%020d.seg", 1), before, sizeof(before));
    cr_assert_eq(run("verify", NULL, NULL), CTL_FAILED);
    cr_assert(strstr(printed, "00000000000000000001.seg bytes 652 to "), "%s", printed);
    cr_assert(strstr(printed, "records 1 to 1 have wrong checksums"), "%s", printed);
    cr_assert(strstr(printed, "its copy is valid"), "%s", printed);
    cr_assert_eq(run("verify", "--json", NULL), CTL_FAILED);
    cr_assert(strstr(printed, "{\"file\": \"00000000000000000001.seg\", \"damage\": \"records 1 to 1"), "%s", printed);
    cr_assert_eq(run("dump", NULL, NULL), CTL_OK);
    cr_assert(strstr(printed, "1  unreadable, ") && strstr(printed, "id-2") && strstr(printed, "id-3"), "%s", printed);
    cr_assert_eq(load_file(in_dir("journal/%020d.seg", 1), after, sizeof(after)), len);
    cr_assert_arr_eq(before, after, len);
}

Test(journal_ctl, verify_names_foreign_files_and_missing_numbers)
{
    struct journal *journal = open_journal(SMALL, NULL);
    while (journal_bytes(journal) < 2 * SMALL / 4)
        append_usual(journal, 1);
    sync_journal(journal);
    uint64_t middle = journal_next_seq(journal) - 1;
    while (journal_bytes(journal) < SMALL)
        append_usual(journal, 1);
    close_journal(&journal);
    cr_assert_eq(unlink(in_dir("journal/%020" PRIu64 ".seg", middle)), 0);
    save_file(in_dir("journal/x.seg"), "x", 1);
    cr_assert_eq(run("verify", NULL, NULL), CTL_FAILED);
    cr_assert(strstr(printed, "before it are missing"), "%s", printed);
    cr_assert(strstr(printed, "x.seg: not a segment name"), "%s", printed);
}

/* The tail of a journal that is open may be half a frame just now. */
Test(journal_ctl, beside_a_writer_a_torn_tail_is_not_damage)
{
    make_journal(false);
    damage(5000);
    cr_assert_eq(run("verify", NULL, NULL), CTL_FAILED, "no process writes it, so the frame is torn");
    cr_assert(strstr(printed, "(tail)"), "%s", printed);
    struct journal *journal = open_journal(SMALL, NULL);
    damage(5000);
    cr_assert_eq(run("verify", NULL, NULL), CTL_OK, "%s", printed);
    cr_assert_str_empty(printed);
    cr_assert_eq(run("dump", NULL, NULL), CTL_OK);
    cr_assert(strstr(printed, "id-3"), "%s", printed);
    journal_free(&journal);
}

Test(journal_ctl, a_wrong_command_line_is_told_of)
{
    make_journal(true);
    cr_assert_eq(run("list", "--from", "1"), CTL_USAGE);
    cr_assert_eq(run("dump", "--from", "0"), CTL_USAGE);
    cr_assert_eq(run("dump", "--from", "x"), CTL_USAGE);
    cr_assert_eq(run("dump", "too", NULL), CTL_USAGE);
    cr_assert_eq(run("burn", NULL, NULL), CTL_USAGE);
    cr_assert_eq(run("verify", "--db", "x"), CTL_USAGE);
    cr_assert_eq(run("replay", "--from", "9"), CTL_FAILED);
    remove_tree(in_dir("journal"));
    cr_assert_eq(run("list", NULL, NULL), CTL_FAILED);
    cr_assert_eq(mkdir(in_dir("journal"), 0700), 0);
    cr_assert_eq(run("verify", NULL, NULL), CTL_FAILED);
}
