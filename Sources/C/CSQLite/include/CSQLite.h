#pragma once
// SQLite with a VFS between it and the file system: SQLite keeps no checksum of a page, and Debian ships no cksumvfs.
// What it does to the files is in checked.c and in Docs/Storage.md, "The index".
#include <sqlite3.h>

/// A page, or what page 1 says of the -wal, is not what was written.
enum { QN_DAMAGED = SQLITE_IOERR_DATA };

/// Opens or makes a database all of whose pages are checked; the connection is to be closed whatever the result, as
/// after sqlite3_open_v2.
int qn_checked_open(const char *path, sqlite3 **connection);
