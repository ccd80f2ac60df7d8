/* How mobeyectl watch passes an event to a command: completely or not at all, when no descriptors are left and when a
 * user's pipes are small. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctl/operate/watch_deliver.h"

#define EVENT_BYTES 60000
/* A command that does not end. */
#define ENDLESS "exec tail -f /dev/null >/dev/null 2>&1"

static char directory[64], event[EVENT_BYTES];
static bool no_descriptor;

/* These take the place of libc's. */
int pidfd_open(pid_t pid, unsigned flags)
{
    errno = EMFILE;
    return no_descriptor ? -1 : (int)syscall(SYS_pidfd_open, pid, flags);
}

/* As the kernel creates it for a user who has many: of one page. */
int pipe2(int ends[2], int flags)
{
    int rc = (int)syscall(SYS_pipe2, ends, flags);
    cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    return rc;
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    strcpy(directory, "/tmp/deliver.XXXXXX");
    cr_assert(mkdtemp(directory));
    memset(event, 'e', sizeof(event));
}

static void teardown(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/event", directory);
    unlink(path);
    rmdir(directory);
}

TestSuite(watch_deliver, .init = setup, .fini = teardown, .timeout = 60);

static enum delivery_result deliver(const char *command, int timeout_s, struct err *err)
{
    struct delivery delivery = {.command = command};
    err->text[0] = '\0';
    return delivery_send(&delivery, (struct str){event, sizeof(event)}, timeout_s, err);
}

Test(watch_deliver, a_command_gets_all_of_an_event_that_its_pipe_cannot_hold)
{
    char command[128];
    struct err err;
    struct stat st;
    snprintf(command, sizeof(command), "exec cat >%s/event", directory);
    cr_expect_eq(deliver(command, 50, &err), DELIVERY_TAKEN, "%s", err.text);
    cr_assert_eq(stat(strrchr(command, '>') + 1, &st), 0);
    cr_expect_eq(st.st_size, EVENT_BYTES + 1, "%lld bytes, and a line feed", (long long)st.st_size);
}

Test(watch_deliver, a_command_need_not_read_the_event)
{
    struct err err;
    cr_expect_eq(deliver("exit 0", 50, &err), DELIVERY_TAKEN, "%s", err.text);
    cr_expect_eq(deliver("exec <&-; exit 0", 50, &err), DELIVERY_TAKEN, "%s", err.text);
    cr_expect_eq(deliver("exit 3", 50, &err), DELIVERY_REFUSED);
    cr_expect(strstr(err.text, "status 3"), "%s", err.text);
}

Test(watch_deliver, a_command_that_neither_reads_nor_ends_is_ended)
{
    struct err err;
    cr_expect_eq(deliver(ENDLESS, 1, &err), DELIVERY_UNANSWERED);
    cr_expect_str_eq(err.text, "the command took longer than 1 s");
}

Test(watch_deliver, a_command_that_cannot_be_watched_is_ended_at_once)
{
    struct err err;
    no_descriptor = true;
    cr_expect_eq(deliver(ENDLESS, 50, &err), DELIVERY_UNANSWERED);
    cr_expect_str_eq(err.text, "command: Too many open files");
}
