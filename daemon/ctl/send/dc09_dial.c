#include "ctl/send/dc09_dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/array.h"

/* Parses +60s, -5m, or nothing. */
static bool parse_shift(struct str text, int64_t *ret_us)
{
    *ret_us = 0;
    if (text.len == 0)
        return true;
    char unit = text.p[text.len - 1];
    int64_t unit_us = unit == 's' ? CLOCK_SECOND : unit == 'm' ? CLOCK_MINUTE : unit == 'h' ? CLOCK_HOUR : 0;
    if (unit_us == 0 || text.len < 3 || text.len > 8 || (text.p[0] != '+' && text.p[0] != '-'))
        return false;
    int64_t number = 0;
    for (size_t i = 1; i + 1 < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        number = number * 10 + (text.p[i] - '0');
    }
    *ret_us = (text.p[0] == '-' ? -number : number) * unit_us;
    return true;
}

/* Appends the line with _now replaced by a time. */
static int fill_in_time(struct str line, int64_t now_us, struct buf *out, struct err *err)
{
    static const char word[] = "]_now";
    const char *found = memmem(line.p, line.len, word, strlen(word));
    if (!found) {
        buf_append_str(out, line);
        return 0;
    }
    size_t at = (size_t)(found - line.p) + 1;
    int64_t shift_us = 0;
    if (!parse_shift((struct str){line.p + at + 4, line.len - at - 4}, &shift_us))
        return err_set(err, "not a time after the last ']' (expected _now, _now-60s, _now+5m, _now+1h)");
    char time[DC09_TIME_SIZE];
    buf_append(out, line.p, at);
    buf_printf(out, "_%s", dc09_time_format(now_us + shift_us, time));
    return 0;
}

/* The account between '#' and '['; empty if there is none. */
static struct str header_account(struct str header)
{
    const char *hash = memrchr(header.p, '#', header.len);
    return hash ? (struct str){hash + 1, header.len - (size_t)(hash + 1 - header.p)} : (struct str){0};
}

/* Replaces what follows '[' by its ciphertext. */
static int encrypt_body(struct buf *body, const struct dc09_keys *keys, const uint8_t pad[DC09_PAD_MAX],
                        struct err *err)
{
    const char *bracket = memchr(body->data, '[', body->len);
    if (!bracket)
        return err_set(err, "no '[' in an encrypted frame");
    size_t header_len = (size_t)(bracket - body->data);
    const struct dc09_key *key = dc09_keys_find(keys, header_account((struct str){body->data, header_len}));
    if (!key)
        return err_set(err, "no key for the account of this encrypted frame (see --keys)");
    struct buf sealed = {0};
    buf_append(&sealed, body->data, header_len + 1);
    dc09_encrypt(key, (struct str){bracket + 1, body->len - header_len - 1}, pad, &sealed);
    buf_free(body);
    *body = sealed;
    return 0;
}

static struct str trim(struct str line)
{
    while (line.len > 0 && strchr(" \t\r\n", line.p[line.len - 1]))
        line.len--;
    while (line.len > 0 && strchr(" \t\r\n", line.p[0])) {
        line.p++;
        line.len--;
    }
    return line;
}

/* Whether the line is a frame whose quotes a shell has removed. */
static bool lacks_quotes(struct str line)
{
    static const char *const ids[] = {"SIA-DCS", "ADM-CID", "NULL"};
    if (line.len > 0 && line.p[0] == '*')
        line = (struct str){line.p + 1, line.len - 1};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (line.len >= strlen(ids[i]) && memcmp(line.p, ids[i], strlen(ids[i])) == 0)
            return true;
    return false;
}

int dial_frame(struct str line, const struct dc09_keys *keys, bool crc_binary, int64_t now_us,
               const uint8_t pad[DC09_PAD_MAX], struct buf *out, struct err *err)
{
    line = trim(line);
    if (line.len == 0 || line.p[0] == '#')
        return 0;
    if (lacks_quotes(line))
        return err_set(err, "the ID has no quotes (in a shell, use '\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001]_now')");
    if (line.p[0] != '"') {
        buf_append(out, "\n", 1);
        buf_append_str(out, line);
        buf_append(out, "\r", 1);
        return 1;
    }
    struct buf body = {0};
    int rc = fill_in_time(line, now_us, &body, err);
    if (rc == 0 && body.len > 1 && body.data[1] == '*')
        rc = encrypt_body(&body, keys, pad, err);
    if (rc == 0 && body.len > DC09_BODY_MAX)
        rc = err_set(err, "the frame is too long (expected at most %d bytes from the first quote)", DC09_BODY_MAX);
    if (rc == 0)
        dc09_build(out, buf_str(&body), crc_binary);
    buf_free(&body);
    return rc == 0 ? 1 : -1;
}

static int parse_address(const char *text, struct address *ret, struct err *err)
{
    if (address_peer(strncmp(text, "tcp://", 6) == 0 ? text + 6 : text, ret, NULL) == 0)
        return 0;
    return err_set(err, "%s: not an address (expected HOST:PORT or [IPV6]:PORT)", text);
}

int dial_check_address(const char *text, struct err *err)
{
    struct address address;
    return parse_address(text, &address, err);
}

/* Returns a socket connected to the address; -1 with errno set. */
static int connect_to(const struct addrinfo *address, int timeout_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int problem = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (problem == EINPROGRESS) {
        struct pollfd waiting = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof(problem);
        if (poll(&waiting, 1, timeout_ms) != 1)
            problem = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &len) != 0)
            problem = errno;
    }
    if (problem == 0)
        return fd;
    close(fd);
    errno = problem;
    return -1;
}

static int open_connection(struct dial *dial, struct err *err)
{
    struct address to;
    char port[16];
    if (parse_address(dial->to, &to, err) != 0)
        return -1;
    snprintf(port, sizeof(port), "%d", to.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int problem = getaddrinfo(to.host, port, &hints, &found);
    if (problem != 0)
        return err_set(err, "%s: %s", dial->to, gai_strerror(problem));
    for (struct addrinfo *address = found; address && dial->fd < 0; address = address->ai_next)
        dial->fd = connect_to(address, dial->timeout_ms);
    problem = errno;
    freeaddrinfo(found);
    return dial->fd < 0 ? err_set(err, "%s: %s", dial->to, strerror(problem)) : 0;
}

void dial_close(struct dial *dial)
{
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
    buf_free(&dial->in);
}

/* Milliseconds until end_us; 0 if it has passed. */
static int left_ms(int64_t end_us)
{
    int64_t left_us = end_us - clock_mono_us();
    return left_us > 0 ? (int)(left_us / CLOCK_MS) + 1 : 0;
}

static enum dial_answer write_all(struct dial *dial, struct str bytes, int64_t end_us)
{
    while (bytes.len > 0) {
        struct pollfd waiting = {.fd = dial->fd, .events = POLLOUT};
        if (poll(&waiting, 1, left_ms(end_us)) != 1)
            return DIAL_SILENCE;
        ssize_t sent = send(dial->fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return DIAL_CLOSED;
        if (sent > 0)
            bytes = (struct str){bytes.p + sent, bytes.len - (size_t)sent};
    }
    return DIAL_REPLY;
}

static enum dial_answer read_reply(struct dial *dial, struct dc09_frame *ret, enum dc09_result *ret_result,
                                   int64_t end_us)
{
    dial->in.len = 0;
    for (;;) {
        size_t used = 0;
        *ret_result = dc09_scan(buf_str(&dial->in), ret, &used);
        if (*ret_result != DC09_INCOMPLETE)
            return DIAL_REPLY;
        struct pollfd waiting = {.fd = dial->fd, .events = POLLIN};
        if (dial->in.len >= DC09_FRAME_MAX || poll(&waiting, 1, left_ms(end_us)) != 1)
            return DIAL_SILENCE;
        ssize_t got = recv(dial->fd, buf_reserve(&dial->in, DC09_FRAME_MAX), DC09_FRAME_MAX, 0);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return DIAL_CLOSED;
        if (got > 0)
            dial->in.len += (size_t)got;
    }
}

enum dial_answer dial_send(struct dial *dial, struct str frame, struct dc09_frame *ret, enum dc09_result *ret_result,
                           struct err *err)
{
    if (dial->fd < 0 && open_connection(dial, err) != 0)
        return DIAL_ERROR;
    int64_t end_us = clock_mono_us() + dial->timeout_ms * CLOCK_MS;
    enum dial_answer answer = write_all(dial, frame, end_us);
    if (answer == DIAL_REPLY)
        answer = read_reply(dial, ret, ret_result, end_us);
    if (answer != DIAL_REPLY)
        dial_close(dial); /* a late reply must not be taken for that to the next frame */
    return answer;
}
