/* For tests of what systemd's journal would receive. */
#ifndef MOBEYE_TESTS_PRETEND_JOURNAL_H
#define MOBEYE_TESTS_PRETEND_JOURNAL_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sets JOURNAL_STREAM as systemd does for its journal, to the present stderr. */
static inline void pretend_journal(void)
{
    struct stat seen;
    char stream[64];
    if (fstat(STDERR_FILENO, &seen) != 0)
        abort();
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)seen.st_dev, (unsigned long long)seen.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
}

#endif
