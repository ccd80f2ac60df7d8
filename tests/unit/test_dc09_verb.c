/* mobeyectl dc09 from its command line: what is printed and the exit status. */
#include "dc09_frames.h"

#include <criterion/redirect.h>

#include "ctl/lib/ctl.h"

static void redirect(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
}

static int run(const char *const *words)
{
    char *argv[16] = {0};
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = strdup(words[argc]);
    int rc = ctl_dc09(argc, argv);
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return rc;
}

#define RUN(...) run((const char *const[]){"dc09", __VA_ARGS__, NULL})

Test(dc09_verb, encode_prints_the_frame, .init = redirect)
{
    cr_expect_eq(RUN("encode", "\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018"), CTL_OK);
    cr_assert_stdout_eq_str("\n98A6003B\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018\r");
}

Test(dc09_verb, decode_tells_alert_and_answer, .init = redirect)
{
    cr_expect_eq(RUN("decode", "98A6003B\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018"), CTL_OK);
    cr_assert_stdout_eq_str("98A6003B\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018\n"
                            "  intrusion raise (130)  dc09:1234/1  2018-12-01T21:15:00Z"
                            "  id 0002-3653e730486049ad382e8366d10bfbb7-1\n"
                            "  answer: 14310012\"ACK\"0002L0#1234[]\n");
}

Test(dc09_verb, decode_reads_a_stream_and_says_what_is_wrong_with_it, .init = redirect)
{
    struct buf stream = {0};
    dc09_build(&stream, STR("\"XYZ\"0001L0#1234[]"), true);
    buf_printf(&stream, "noise\n98A6003B\"ADM");
    char *path = private_file(stream.data, stream.len, 0600);
    FILE *input = freopen(path, "r", stdin);
    unlink(path);
    free(path);
    cr_assert_not_null(input);
    cr_expect_eq(RUN("decode", "--json"), CTL_FAILED);
    cr_assert_stdout_eq_str("{\"good\":false,\"result\":\"unknown ID or unreadable header (expected "
                            "SIA-DCS, ADM-CID or NULL)\",\"frame\":\"EB400012\\\"XYZ\\\"0001L0#1234[]\","
                            "\"answer\":\"251F0012\\\"DUH\\\"0001L0#1234[]\",\"alerts\":[]}\n");
    cr_assert_stderr_eq_str("mobeyectl dc09: the last frame is incomplete (expected LF ... CR)\n");
    buf_free(&stream);
}

Test(dc09_verb, a_key_that_others_may_read_is_refused, .init = redirect)
{
    char *path = private_file("", 0, 0644);
    cr_expect_eq(RUN("decode", "--keys", path, "x"), CTL_FAILED);
    unlink(path);
    free(path);
}

Test(dc09_verb, a_wrong_command_line_is_usage, .init = redirect)
{
    cr_expect_eq(run((const char *const[]){"dc09", NULL}), CTL_USAGE);
    cr_expect_eq(RUN("dial"), CTL_USAGE);
    cr_expect_eq(RUN("send", "x"), CTL_USAGE);
    cr_expect_eq(RUN("send", "--to", "localhost:1", "a", "b"), CTL_USAGE);
    cr_expect_eq(RUN("send", "--to", "localhost:1", "--tries", "0"), CTL_USAGE);
    cr_expect_eq(RUN("send", "--to", "localhost:1", "--timeout", "1x"), CTL_USAGE);
    cr_expect_eq(RUN("decode", "--nonsense"), CTL_USAGE);
    cr_expect_eq(RUN("decode", "--to", "localhost:1", "x"), CTL_USAGE);
    cr_expect_eq(RUN("encode", "--json", "\"NULL\"0001L0#1234[]"), CTL_USAGE);
    cr_expect_eq(RUN("send", "--json", "--to", "localhost:1"), CTL_USAGE);
    cr_expect_eq(RUN("--json", "decode", "x"), CTL_USAGE);
    cr_expect_eq(RUN("--help"), CTL_OK);
}

Test(dc09_verb, what_cannot_be_sent_or_read_fails, .init = redirect)
{
    char *path = private_file("\"NULL\"0001L0#1234[]\n", 20, 0600);
    cr_expect_eq(RUN("send", "--to", "127.0.0.1:1", "--tries", "1", path), CTL_FAILED);
    cr_expect_eq(RUN("send", "--to", "127.0.0.1:1", "/nonexistent/scenario"), CTL_FAILED);
    cr_expect_eq(RUN("encode", "\"*NULL\"0001L0#1234[]"), CTL_FAILED);
    cr_expect_eq(RUN("encode", "NULL0001L0#1234[]"), CTL_FAILED);
    unlink(path);
    free(path);
}

Test(dc09_verb, send_checks_the_address_before_it_reads, .init = redirect)
{
    static const char *const wrong[] = {"x:y", "x", ":5556", "x:", "x:0", "x:65536", "x:5556x", "tcp://x:y"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(RUN("send", "--to", wrong[i], "/nonexistent"), CTL_USAGE, "%s", wrong[i]);
    cr_expect_eq(RUN("send", "--to", "tcp://[::1]:5556", "/nonexistent"), CTL_FAILED);
}
