#include "alert/incident.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *incident_category_word(enum incident_category category)
{
    static const char *const words[] = {[CATEGORY_ALARM] = "alarm", [CATEGORY_SERVICE] = "service"};
    return words[category];
}

static size_t more(size_t cap)
{
    return cap ? 2 * cap : 64;
}

size_t book_add_incident(struct book *book)
{
    if (book->n_incidents == book->cap_incidents) {
        book->cap_incidents = more(book->cap_incidents);
        book->incidents = mem_realloc(book->incidents, book->cap_incidents, sizeof(*book->incidents));
    }
    book->incidents[book->n_incidents] = (struct incident){
        .first_seen_us = ALERT_NO_TIME,
        .last_seen_us = ALERT_NO_TIME,
        .last_received_us = ALERT_NO_TIME,
        .closed_us = ALERT_NO_TIME,
        .restored_us = ALERT_NO_TIME,
        .cancelled_us = ALERT_NO_TIME,
        .accuracy_m = NAN,
    };
    return book->n_incidents++;
}

size_t book_add_thread(struct book *book)
{
    if (book->n_threads == book->cap_threads) {
        book->cap_threads = more(book->cap_threads);
        book->threads = mem_realloc(book->threads, book->cap_threads, sizeof(*book->threads));
    }
    book->threads[book->n_threads] = (struct thread){.incident = NO_INCIDENT, .since_us = ALERT_NO_TIME};
    return book->n_threads++;
}

void book_clear(struct book *book)
{
    book->n_incidents = book->n_threads = 0;
    book->text.len = 0;
}

void book_free(struct book *book)
{
    free(book->incidents);
    free(book->threads);
    buf_free(&book->text);
    *book = (struct book){0};
}
