/* mobeyectl send: the command line and the output. sender_file.c sends the lines. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json_write.h"
#include "conf/text.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/lib/options.h"
#include "ctl/lib/sender_file.h"
#include "ctl/lib/table.h"
#include "ctl/send/flag_reason.h"
#include "ctl/send/sent.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/endpoint.h"
#include "ingest/image_header.h"
#include "ingest/validate.h"
#include "model/alert.h"

#define VERB "send"

#define TIMEOUT_DEFAULT_S 60
#define TIMEOUT_MAX_S     86400
#define IMAGES_MAX        64

struct send {
    struct sender_endpoint endpoints[SENDER_ENDPOINTS_MAX];
    size_t n_endpoints;
    const char *file, *client_key;
    const char *name; /* of the file, in messages */
    struct ctl_call call;
    bool dry_run, told_full;
    long timeout_s;
    struct curve curve; /* of client_key */
    struct lines lines;
    struct documents documents;
    struct sent sent;
    const char *image_files[IMAGES_MAX];
    struct buf images[IMAGES_MAX];
    size_t n_images;
    struct cloudevents_decoder *decoder; /* of what was accepted */
    struct sender_counts counts;
};

static const char help[] =
    "Usage: mobeyectl send --to ENDPOINT [OPTION]... [FILE]\n"
    "Sends alerts, one JSON document per line, and waits for every reply.\n\n"
    "A document may also extend over several lines, and all of them may be in one array. Reads standard input if FILE\n"
    "is - or missing. What gets RETRY or no reply is sent again. Each REJECT is printed as FILE:LINE: code: field:\n"
    "reason. What was odd about an accepted alert is printed too, and whether this run sent it before.\n\n"
    "      --to ENDPOINT      router endpoint of the daemon, tcp://HOST:PORT or ipc://PATH; may be repeated with "
    "other\n"
    "                         daemons, to be used if one does not reply or has no space\n"
    "      --format FORMAT    format of the alerts: cloudevents (the default, and the only one)\n"
    "      --server-key KEY   public key of the daemon, if the endpoint uses CURVE, in single quotes, since it may "
    "have\n"
    "                         $ and !; one for all endpoints, or one for each --to, in the same order; requires\n"
    "                         --client-key\n"
    "      --client-key FILE  secret key of this sender, written by mobeyectl keygen\n"
    "      --image FILE       image (JPEG, PNG or WebP) to send with the first alert; if repeated, with the second, "
    "...\n"
    "      --dry-run          send nothing; print what a daemon would reply\n"
    "      --timeout SECONDS  give up after this time without any reply (default: 60)\n"
    "      --json             print the summary as JSON\n"
    "  -h, --help             print this help\n\n"
    "Example:\n"
    "  $ mobeyectl send --to tcp://127.0.0.1:5555 alerts.jsonl\n\n"
    "Exit status: 0 every line was accepted, 1 failure, or a line was not accepted; 2 usage error.\n";

static const struct ctl_verb verb = {VERB, .takes = "json", .argument = "FILE", .most = 1, .help = help};

static int take_timeout(const char *text, long *ret)
{
    char *end;
    *ret = text ? strtol(text, &end, 10) : TIMEOUT_DEFAULT_S;
    if (text && (*end != '\0' || *ret < 1 || *ret > TIMEOUT_MAX_S))
        return ctl_usage(VERB, "--timeout \"%s\" is not a number of seconds (expected 1 to %d)", text, TIMEOUT_MAX_S);
    return CTL_GO;
}

/* A single key applies to all endpoints. */
static int take_keys(struct send *send, const char *const *keys, size_t n_keys)
{
    struct err err;
    for (size_t i = 0; i < n_keys; i++)
        if (text_check_key(keys[i], &err) != 0)
            return ctl_usage(VERB, "--server-key %s (expected a public key, 40 characters of Z85)", err.text);
    if ((n_keys > 0) != (send->client_key != NULL))
        return ctl_usage(VERB, "--server-key and --client-key must be used together");
    if (n_keys > 1 && n_keys != send->n_endpoints)
        return ctl_usage(VERB, "--server-key: wrong number of keys (expected one, or as many as --to)");
    for (size_t i = 0; n_keys > 0 && i < send->n_endpoints; i++)
        send->endpoints[i].server_key = keys[n_keys == 1 ? 0 : i];
    return CTL_GO;
}

static int parse_send(int argc, char **argv, struct send *send)
{
    const char *format = "cloudevents", *timeout = NULL;
    const char *to[SENDER_ENDPOINTS_MAX] = {NULL}, *keys[SENDER_ENDPOINTS_MAX] = {NULL};
    size_t n_keys = 0;
    struct address address;
    struct err err;
    const struct ctl_option options[] = {{"to", .text = to, .n = &send->n_endpoints, .most = SENDER_ENDPOINTS_MAX},
                                         {"server-key", .text = keys, .n = &n_keys, .most = SENDER_ENDPOINTS_MAX},
                                         {"format", .text = &format},
                                         {"client-key", .text = &send->client_key},
                                         {"image", .text = send->image_files, .n = &send->n_images, .most = IMAGES_MAX},
                                         {"dry-run", .flag = &send->dry_run},
                                         {"timeout", .text = &timeout},
                                         {0}};
    int status = ctl_parse(argc, argv, &verb, options, &send->call);
    if (status != CTL_GO)
        return status;
    for (size_t i = 0; i < send->n_endpoints; i++) {
        if (address_connect(to[i], &address, &err) != 0)
            return ctl_usage(VERB, "--to %s %s (expected tcp://HOST:PORT or ipc:///PATH)", to[i], err.text);
        send->endpoints[i].to = to[i];
    }
    send->file = send->call.n_arguments > 0 ? send->call.arguments[0] : "-";
    if (strcmp(format, "cloudevents") != 0)
        return ctl_usage(VERB, "--format \"%s\" is unknown (expected cloudevents)", format);
    if (send->n_endpoints == 0 && !send->dry_run)
        return ctl_usage(VERB, "missing option --to ENDPOINT");
    status = take_timeout(timeout, &send->timeout_s);
    return status == CTL_GO ? take_keys(send, keys, n_keys) : status;
}

/* Prints untrusted text with control characters escaped. */
static void print_text(FILE *out, struct str text)
{
    struct buf escaped = {0};
    ctl_escape(&escaped, text, false);
    if (escaped.len > 0)
        fwrite(escaped.data, 1, escaped.len, out);
    buf_free(&escaped);
}

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static void print_rejected(void *ctx, uint64_t number, struct str why)
{
    const struct send *send = ctx;
    clear_progress();
    fprintf(stderr, "%s:%" PRIu64 ": ", send->name, number);
    print_text(stderr, why);
    fputc('\n', stderr);
}

static void print_full_once(void *ctx)
{
    struct send *send = ctx;
    if (send->told_full)
        return;
    send->told_full = true;
    clear_progress();
    fputs("mobeyectl " VERB ": the journal of the daemon is full, or it is stopping: sending again until it has room\n",
          stderr);
}

static void print_json(const struct sender_counts *counts)
{
    struct buf out = {0};
    buf_append_str(&out, STR("{"));
    json_write_count(&out, "lines", counts->alerts);
    json_write_count(&out, "accepted", counts->accepted);
    json_write_count(&out, "rejected", counts->rejected);
    json_write_count(&out, "unanswered", counts->unanswered);
    json_write_count(&out, "resent", counts->resent);
    printf("%.*s}\n", (int)out.len, out.data);
    buf_free(&out);
}

static void print_summary(const struct send *send)
{
    const struct sender_counts *c = &send->counts;
    if (send->call.json)
        print_json(c);
    else if (send->dry_run)
        printf("%" PRIu64 " line%s: %" PRIu64 " would be accepted, %" PRIu64 " rejected\n", c->alerts,
               ctl_plural(c->alerts), c->accepted, c->rejected);
    else
        printf("%" PRIu64 " line%s: %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64 " unanswered; %" PRIu64
               " sent again\n",
               c->alerts, ctl_plural(c->alerts), c->accepted, c->rejected, c->unanswered, c->resent);
}

/* The number of lines of a regular file, for the progress bar; 0 if unknown, or if there is no terminal. */
static uint64_t count_lines(int fd)
{
    struct stat stat;
    if (!isatty(STDERR_FILENO) || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
        return 0;
    struct lines lines = {.fd = fd, .max = ALERT_PAYLOAD_MAX};
    struct documents documents = {.lines = &lines};
    struct line_text line;
    uint64_t count = 0;
    off_t at = lseek(fd, 0, SEEK_CUR);
    do
        while (documents_next(&documents, &line))
            count++;
    while (!lines.end && lines_read(&lines) == 0);
    lseek(fd, at, SEEK_SET);
    documents_free(&documents);
    buf_free(&lines.in);
    return count;
}

/* "FILE:LINE: accepted; WHAT", also with --json. */
static void print_note(const struct send *send, uint64_t number, struct str what)
{
    clear_progress();
    fprintf(stderr, "%s:%" PRIu64 ": accepted; ", send->name, number);
    print_text(stderr, what);
    fputc('\n', stderr);
}

/* An alert whose identity was sent before is stored once. */
static void append_known(struct send *send, uint64_t number, const struct alert *alert, struct buf *out)
{
    uint64_t before = sent_add(&send->sent, alert, number);
    if (before > 0)
        buf_printf(out, "%salready sent: same source and id as on line %" PRIu64, out->len ? "; " : "", before);
}

/* What was odd about an alert that is accepted. flags: words with spaces between. */
static void append_odd(struct send *send, uint64_t number, const struct alert *alert, struct str flags, struct buf *out)
{
    struct buf reasons = {0}, kind = {0};
    flag_reasons(flags, alert, &reasons);
    kind_reason(alert, &kind);
    if (reasons.len > 0)
        buf_printf(out, "flagged %.*s", (int)reasons.len, reasons.data);
    if (kind.len > 0)
        buf_printf(out, "%s%.*s", out->len ? "; " : "", (int)kind.len, kind.data);
    append_known(send, number, alert, out);
    buf_free(&reasons);
    buf_free(&kind);
}

/* Prints what was odd about an accepted alert: as reported by the daemon or, if the endpoint does not reply with flags,
 * as found by this program. */
static void print_odd(void *ctx, uint64_t number, struct str payload, const struct str *flags)
{
    struct send *send = ctx;
    char bytes[ALERT_FLAG_WORDS_SIZE];
    struct buf what = {0};
    struct alert alert;
    struct reject why;
    if (!decode_cloudevents(send->decoder, payload, &alert, &why))
        return;
    validate_time(&alert, clock_wall_us(), NULL);
    struct str own = {bytes, alert_flag_words(alert.flags, ' ', bytes)};
    append_odd(send, number, &alert, flags ? *flags : own, &what);
    if (what.len > 0)
        print_note(send, number, buf_str(&what));
    buf_free(&what);
}

static void print_would_accept(struct send *send, uint64_t number, const struct alert *alert)
{
    char bytes[ALERT_FLAG_WORDS_SIZE];
    struct buf what = {0};
    struct str own = {bytes, alert_flag_words(alert->flags, ' ', bytes)};
    append_odd(send, number, alert, own, &what);
    if (!send->call.json) {
        printf("%s:%" PRIu64 ": ACK ", send->name, number);
        print_text(stdout, alert->event_id);
        if (what.len > 0)
            putchar(' ');
        print_text(stdout, buf_str(&what));
        putchar('\n');
    }
    buf_free(&what);
}

static void check_line(struct send *send, struct cloudevents_decoder *decoder, const struct line_text *line)
{
    struct alert alert;
    struct image image;
    struct reject why;
    struct buf text = {0};
    size_t at = send->counts.alerts++;
    if (line->len > send->lines.max) {
        sender_file_too_large(line->len, &text);
    } else if (decode_cloudevents(decoder, line->text, &alert, &why)) {
        validate_time(&alert, clock_wall_us(), NULL);
        if (at < send->n_images && !image_read(buf_str(&send->images[at]), &image))
            alert.flags |= FLAG_BAD_IMAGE;
        send->counts.accepted++;
        print_would_accept(send, line->number, &alert);
    } else {
        buf_printf(&text, "%s: %s: %s", reject_word(why.code), why.field[0] ? why.field : "message", why.reason);
    }
    if (text.len > 0) {
        send->counts.rejected++;
        print_rejected(send, line->number, buf_str(&text));
    }
    buf_free(&text);
}

static int dry_run(struct send *send, struct err *err)
{
    struct cloudevents_decoder *decoder = cloudevents_decoder_new();
    struct line_text line;
    int status = 0;
    while (status == 0) {
        if (documents_next(&send->documents, &line)) {
            check_line(send, decoder, &line);
        } else if (send->lines.end) {
            break;
        } else if (lines_read(&send->lines) != 0) {
            status = err_set(err, "cannot read: %s", strerror(errno));
        }
    }
    cloudevents_decoder_free(&decoder);
    return status;
}

static int send_or_check(struct send *send, struct err *err)
{
    if (send->dry_run)
        return dry_run(send, err);
    if (send->client_key && curve_load(send->client_key, &send->curve, err) != 0)
        return -1;
    struct sender_options options = {
        .endpoints = send->endpoints,
        .n_endpoints = send->n_endpoints,
        .curve = &send->curve,
        .timeout_us = send->timeout_s * CLOCK_SECOND,
        .rejected = print_rejected,
        .full = print_full_once,
        .accepted = print_odd,
        .ctx = send,
    };
    const struct sender_file file = {&send->documents, send->images, send->n_images, count_lines(send->lines.fd)};
    send->decoder = cloudevents_decoder_new();
    int status = sender_file_send(&options, &file, &send->counts, err);
    cloudevents_decoder_free(&send->decoder);
    return status;
}

/* An image that the daemon would drop is sent nevertheless, and flagged there. */
static int read_image(const char *path, struct buf *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : file_read(fd, ENDPOINT_FRAME_MAX, ret), why = errno;
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        return CTL_GO;
    if (why == EFBIG)
        return ctl_fail(VERB, "%s: too large for an image (expected at most %d bytes)", path, IMAGE_BYTES_MAX);
    return ctl_fail(VERB, "%s: %s", path, strerror(why));
}

static int read_images(struct send *send)
{
    int status = CTL_GO;
    for (size_t i = 0; i < send->n_images && status == CTL_GO; i++)
        status = read_image(send->image_files[i], &send->images[i]);
    return status;
}

/* false: the caller probably meant other alerts. */
static bool all_images_sent(const struct send *send)
{
    if (send->counts.alerts >= send->n_images)
        return true;
    ctl_fail(VERB, "%zu images for %" PRIu64 " alerts (expected at most one image per alert)", send->n_images,
             send->counts.alerts);
    return false;
}

static int send_file(struct send *send)
{
    struct err err;
    bool is_stdin = strcmp(send->file, "-") == 0;
    send->documents.lines = &send->lines;
    send->name = is_stdin ? "stdin" : send->file;
    send->lines.fd = is_stdin ? STDIN_FILENO : open(send->file, O_RDONLY | O_CLOEXEC);
    if (send->lines.fd < 0)
        return ctl_fail(VERB, "%s: %s", send->file, strerror(errno));
    int status = send_or_check(send, &err);
    clear_progress();
    if (status != 0)
        ctl_fail(VERB, "%s: %s", send->name, err.text);
    curve_wipe(&send->curve);
    print_summary(send);
    sent_free(&send->sent);
    documents_free(&send->documents);
    buf_free(&send->lines.in);
    if (!is_stdin)
        close(send->lines.fd);
    bool all = all_images_sent(send) && send->counts.accepted == send->counts.alerts;
    return status == 0 && all ? CTL_OK : CTL_FAILED;
}

int ctl_send(int argc, char **argv)
{
    struct send send = {.lines = {.max = ALERT_PAYLOAD_MAX}};
    int status = parse_send(argc, argv, &send);
    if (status != CTL_GO)
        return status;

    status = read_images(&send);
    if (status == CTL_GO)
        status = send_file(&send);
    for (size_t i = 0; i < send.n_images; i++)
        buf_free(&send.images[i]);
    return status;
}
