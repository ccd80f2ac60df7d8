/*
 * A start on a journal with a damaged record, a torn tail and an unrelated file: each of its calls fails once.
 * The start fails with a reason, or it works; either way the next one, without faults, delivers every intact record and
 * one row for the damaged, and none of the bytes that were there is gone. The same where the segments have hard links,
 * as in a backup, which is not changed.
 */
#include "failing_calls.h"
#include "journal/frame.h"

TestSuite(journal_repair, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 240);

enum { RECORDS = 40, RECORD_BYTES = 8000, DAMAGED = 7 };

static const char torn[] = "what a torn write left behind", foreign[] = "a file of something else";
static char damaged[RECORD_BYTES]; /* as it is in the segment */
static char names[8][64];          /* of the segments */
static size_t n_names;

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 18];
    save_file(to, bytes, load_file(from, bytes, sizeof(bytes)));
}

static void list_segments(const char *path)
{
    DIR *dir = opendir(path);
    n_names = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strstr(entry->d_name, ".seg") && n_names < 8)
            snprintf(names[n_names++], sizeof(names[0]), "%.60s", entry->d_name);
    closedir(dir);
}

/* Where these bytes are in a file, or -1. */
static long find_bytes(const char *path, const char *bytes, size_t len, char *ret_file, size_t *ret_len)
{
    *ret_len = load_file(path, ret_file, 1 << 18);
    const char *found = memmem(ret_file, *ret_len, bytes, len);
    return found ? found - ret_file : -1;
}

/* In "made": RECORDS records over several segments, one of them damaged, bytes after the last frame, a foreign file. */
static void make_journal(void)
{
    static char record[RECORD_BYTES], file[1 << 18];
    struct err err;
    uint64_t seq;
    struct journal_options options = {in_dir("made"), SMALL, CLOCK_DAY};
    struct journal *journal = open_journal_at(&options, NULL);
    for (unsigned i = 0; i < RECORDS; i++) {
        make_record(journal_next_seq(journal), sizeof(record), record);
        cr_assert_eq(journal_append(journal, (struct str){record, sizeof(record)}, WALL, &seq, &err), JOURNAL_APPENDED);
        if (i % 4 == 3)
            sync_journal(journal);
    }
    journal_free(&journal);
    list_segments(in_dir("made"));
    cr_assert_geq(n_names, 3);
    make_record(DAMAGED, sizeof(damaged), damaged);
    size_t last = 0;
    for (size_t i = 0; i < n_names; i++) {
        size_t len;
        long at = find_bytes(in_dir("made/%s", names[i]), damaged, sizeof(damaged), file, &len);
        last = strcmp(names[i], names[last]) > 0 ? i : last;
        if (at < 0)
            continue;
        file[at + 1000] ^= 1;
        memcpy(damaged, file + at, sizeof(damaged));
        save_file(in_dir("made/%s", names[i]), file, len);
    }
    size_t len = load_file(in_dir("made/%s", names[last]), file, sizeof(file));
    size_t used = len;
    while (file[used - 1] == 0)
        used--;
    /* Right after the last frame: the next one would be written over it. What may become the headers of a gap is not
     * it. */
    char *after = file + (used + FRAME_BLOCK - 1) / FRAME_BLOCK * FRAME_BLOCK;
    memset(after, 'x', 2 * FRAME_BLOCK);
    memcpy(after + FRAME_BLOCK, torn, sizeof(torn));
    save_file(in_dir("made/%s", names[last]), file, len);
    save_file(in_dir("made/%020d.seg", 999999), foreign, sizeof(foreign));
}

/* "made" as "journal"; linked: the segments are those of "backup" too. */
static void put_journal(bool linked)
{
    remove_tree(in_dir("journal"));
    remove_tree(in_dir("backup"));
    cr_assert(mkdir(in_dir("journal"), 0700) == 0 && mkdir(in_dir("backup"), 0700) == 0);
    copy_file(in_dir("made/lock"), in_dir("journal/lock"));
    copy_file(in_dir("made/%020d.seg", 999999), in_dir("journal/%020d.seg", 999999));
    for (size_t i = 0; i < n_names; i++) {
        copy_file(in_dir("made/%s", names[i]), in_dir("backup/%s", names[i]));
        if (linked)
            cr_assert_eq(link(in_dir("backup/%s", names[i]), in_dir("journal/%s", names[i])), 0);
        else
            copy_file(in_dir("backup/%s", names[i]), in_dir("journal/%s", names[i]));
    }
}

static bool is_in_folder(const char *path, const char *bytes, size_t len)
{
    static char file[1 << 18];
    bool found = false;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        char name[8192];
        struct stat st;
        size_t size;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
            found = find_bytes(name, bytes, len, file, &size) >= 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool is_somewhere(const char *bytes, size_t len)
{
    return is_in_folder(in_dir("journal"), bytes, len) || is_in_folder(in_dir("journal/salvaged"), bytes, len);
}

static void assert_backup_unchanged(void)
{
    static char before[1 << 18], after[1 << 18];
    for (size_t i = 0; i < n_names; i++) {
        size_t len = load_file(in_dir("made/%s", names[i]), before, sizeof(before));
        cr_assert_eq(load_file(in_dir("backup/%s", names[i]), after, sizeof(after)), len);
        cr_assert(memcmp(before, after, len) == 0, "%s", names[i]);
    }
}

/* After a start without faults. */
static void assert_whole(size_t records, const char *what, unsigned at)
{
    struct journal_recovery found;
    struct err err = {""};
    static char want[RECORD_BYTES];
    struct journal *journal = open_journal(SMALL, &found);
    struct batch *batch = batch_new(RECORDS + 8);
    cr_assert_eq(journal_read(journal, 1, RECORDS + 8, SIZE_MAX, batch, &err), 0, "%s", err.text);
    cr_assert_eq(batch->n, records, "%s at call %u: %zu rows", what, at, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_row *row = &batch->rows[i];
        cr_assert_eq(row->alert.seq, i + 1);
        cr_assert_eq(row->unreadable != NULL, i + 1 == DAMAGED, "%s at call %u: record %zu", what, at, i + 1);
        make_record(i + 1, sizeof(want), want);
        if (!row->unreadable)
            cr_assert(row->record.len == sizeof(want) && memcmp(row->record.p, want, sizeof(want)) == 0);
    }
    batch_free(&batch);
    cr_assert_eq(append_sized(journal, 100), JOURNAL_APPENDED);
    close_journal(&journal);
    cr_assert(is_somewhere(torn, sizeof(torn)), "%s at call %u: the torn bytes are gone", what, at);
    cr_assert(is_somewhere(damaged, sizeof(damaged)), "%s at call %u: the damaged bytes are gone", what, at);
    cr_assert(is_somewhere(foreign, sizeof(foreign)), "%s at call %u: the foreign bytes are gone", what, at);
    assert_backup_unchanged();
}

/* A segment that the disk cannot read is lost, and reported as such; other tests cover the rest. */
static bool start(struct journal **journal, const char *what, unsigned at)
{
    struct journal_options options = options_of(SMALL);
    struct journal_recovery found;
    struct err err = {""};
    bool lost = false;
    int rc = journal_open(journal, &options, WALL, &found, &err);
    if (rc == 0)
        lost = found.lost_segments > 0 || found.missing > 0;
    else
        cr_assert_neq(err.text[0], '\0', "%s at call %u", what, at);
    cr_assert(!lost || sim.error == EIO, "%s at call %u", what, at);
    return lost;
}

static void assert_each_call_may_fail(bool linked)
{
    static const struct {
        int error;
        const char *word;
    } errors[] = {{EIO, "EIO"}, {ENOSPC, "ENOSPC"}, {EMFILE, "EMFILE"}};
    unsigned failed = 0;
    make_journal();
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        for (unsigned at = 1, done = 0; !done; at++) {
            struct journal *journal = NULL;
            put_journal(linked);
            arm(errors[i].error, at);
            sim.all = true;
            bool lost = start(&journal, errors[i].word, at);
            done = sim.calls < at;
            sim.counting = false;
            failed += journal == NULL;
            size_t records = RECORDS;
            if (journal && !lost) { /* it continues from there */
                cr_assert_eq(append_sized(journal, RECORD_BYTES), JOURNAL_APPENDED);
                sync_journal(journal);
                records++;
            }
            journal_free(&journal);
            if (!lost)
                assert_whole(records, errors[i].word, at);
        }
    cr_assert_gt(failed, 10, "some of them end a start: %u", failed);
}

Test(journal_repair, no_call_of_a_start_can_fail_and_cost_what_is_intact)
{
    assert_each_call_may_fail(false);
}

Test(journal_repair, nor_where_the_segments_are_those_of_a_backup)
{
    assert_each_call_may_fail(true);
}
