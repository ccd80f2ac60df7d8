#include "flow/journal_report.h"

#include <inttypes.h>

#include "base/log.h"
#include "journal/salvage.h"

void journal_report_recovery(const struct journal *journal, const char *directory, const struct journal_recovery *found)
{
    if (found->damaged > 0 || found->missing > 0 || found->foreign > 0)
        log_error("journal",
                  "damage: %" PRIu64 " records have a wrong checksum, %" PRIu64 " are missing, %" PRIu64
                  " files do not belong to this journal; what could be read was copied to %s/" SALVAGE_FOLDER,
                  found->damaged, found->missing, found->foreign, directory);
    if (found->lost_segments > 0)
        log_error(
            "journal",
            "damage: the disk cannot read %" PRIu64
            " segments; alerts in them that are not in the database are lost (moved the segments to %s/" SALVAGE_FOLDER
            ")",
            found->lost_segments, directory);
    if (found->repaired > 0)
        log_warning("journal",
                    "repaired %" PRIu64
                    " damaged regions; no records lost; salvaged the damaged bytes to %s/" SALVAGE_FOLDER,
                    found->repaired, directory);
    if (found->torn_bytes > 0)
        log_warning("journal",
                    "damage: cut off an incomplete last write of %" PRIu64
                    " bytes, not known to be synced; salvaged them to %s/" SALVAGE_FOLDER,
                    found->torn_bytes, directory);
    if (found->unsaved_bytes > 0)
        log_error("journal", "no disk space to salvage %" PRIu64 " damaged bytes; they stay in their segments",
                  found->unsaved_bytes);
    if (found->fresh)
        log_info("journal", "%s: created", directory);
    else
        log_info("journal",
                 "%s: %" PRIu64 " alerts kept, %" PRIu64 " of them not known to be in the database, after %s",
                 directory, found->records, journal_synced_seq(journal) - journal_stored_seq(journal),
                 found->clean ? "a clean stop" : "an unclean stop");
}

void journal_report_salvage(const char *directory, const struct journal_recovery *found)
{
    log_error("journal",
              "damage: gave up an unreadable segment: %" PRIu64
              " of its records go to quarantine, the others are delivered",
              found->damaged);
    if (found->salvaged)
        log_error("journal", "salvaged the damaged bytes to %s/" SALVAGE_FOLDER, directory);
    if (found->unsaved_bytes > 0)
        log_error("journal", "no disk space to salvage %" PRIu64 " damaged bytes", found->unsaved_bytes);
}
