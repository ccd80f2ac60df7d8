/* The UUID of a journal: a new one loses nothing, and a copy has the same one. */
#include "test_journal_support.h"

TestSuite(journal_uuid, .init = test_dir_make, .fini = test_dir_remove);

Test(journal_uuid, a_new_uuid_keeps_numbers_and_records)
{
    uint8_t uuid[JOURNAL_UUID_BYTES], second[JOURNAL_UUID_BYTES];
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    struct err err = {""};
    memcpy(uuid, journal_uuid(journal), sizeof(uuid));
    append_usual(journal, 20);
    cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    memcpy(second, journal_uuid(journal), sizeof(second));
    cr_assert(memcmp(uuid, second, sizeof(uuid)) != 0);
    cr_assert_eq(journal_synced_seq(journal), 20);
    append_usual(journal, 20);
    sync_journal(journal);
    for (int end = 0; end < 2; end++) {
        if (end == 0)
            journal_free(&journal);
        else
            close_journal(&journal);
        journal = open_journal(SMALL, &found);
        cr_assert_eq(found.records, 40);
        cr_assert_eq(found.foreign + found.damaged + found.missing, 0);
        cr_assert_arr_eq(journal_uuid(journal), second, sizeof(second));
        cr_assert_eq(read_usual(journal, 1, NULL, 0), 40);
    }
    close_journal(&journal);
}

Test(journal_uuid, a_copied_journal_has_the_same_uuid_and_works)
{
    char command[20000];
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 50);
    sync_journal(journal);
    snprintf(command, sizeof(command), "cp -r --sparse=always '%s' '%s'", in_dir("journal"), in_dir("copy"));
    cr_assert_eq(system(command), 0);
    struct journal_options options = {in_dir("copy"), SMALL, 0};
    struct journal_recovery found;
    struct journal *copy = open_journal_at(&options, &found);
    cr_assert_eq(found.records, 50);
    cr_assert_arr_eq(journal_uuid(copy), journal_uuid(journal), JOURNAL_UUID_BYTES);
    append_usual(copy, 50);
    sync_journal(copy);
    close_journal(&copy);
    close_journal(&journal);
}
