#pragma once
// Between checked.c, which does the work on the files, and vfs.c, which makes SQLite use it.
#include <CSQLite.h>
#include <stdbool.h>
#include <stdint.h>

/// A page, and its last bytes, which are ours.
enum { QN_PAGE = 4096, QN_OURS = 16 };

/// A database or its -wal.
struct qn_file {
    sqlite3_file base;
    sqlite3_file *real;
    /// Itself, or the database of this -wal.
    struct qn_file *database;
    /// The head of the wal-index once it is mapped.
    const volatile uint8_t *shared;
    /// The mark was compared with the -wal.
    bool settled;
    /// A checkpoint is copying; it has set its mark; nothing of it failed.
    bool copying, marked, whole;
    /// The frame whose header was written last, and its page.
    sqlite3_int64 frame;
    uint32_t frame_page;
};

extern const sqlite3_io_methods qn_checked_methods;
