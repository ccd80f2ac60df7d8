/* What the log says about a damaged journal. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "flow/journal_report.h"
#include "test_journal_support.h"

TestSuite(journal_report, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 60);

Test(journal_report, the_folder_of_the_copies_is_named_with_its_whole_path)
{
    static char said[65536];
    char name[241], path[2 * sizeof(name) + 16];
    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(path, sizeof(path), "/%s/%s", name, name);
    struct journal *journal = open_journal(SMALL, NULL);
    const struct journal_recovery found = {
        .damaged = 1, .repaired = 1, .torn_bytes = 1, .lost_segments = 1, .salvaged = true};
    int file = memfd_create("log", 0), before = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    journal_report_recovery(journal, path, &found);
    journal_report_salvage(path, &found);
    dup2(before, STDERR_FILENO);
    cr_assert_gt(pread(file, said, sizeof(said) - 1, 0), 0);
    journal_free(&journal);
    strcat(path, "/salvaged");
    unsigned named = 0;
    for (const char *at = said; (at = strstr(at, path)) != NULL; at++)
        named++;
    cr_expect_eq(named, 5, "%s", said);
}
