#include "checked.h"

#include <pthread.h>
#include <stdio.h>

static sqlite3_vfs *unix_vfs;

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *result) {
    (void)vfs;
    bool is_checked = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL);
    if (!is_checked) return unix_vfs->xOpen(unix_vfs, name, base, flags, result);
    struct qn_file *file = (struct qn_file *)base;
    *file = (struct qn_file){.real = (sqlite3_file *)(file + 1), .frame = -1};
    file->real->pMethods = NULL;
    file->database = (flags & SQLITE_OPEN_WAL) ? (struct qn_file *)sqlite3_database_file_object(name) : file;
    int code = unix_vfs->xOpen(unix_vfs, name, file->real, flags, result);
    file->base.pMethods = file->real->pMethods ? &qn_checked_methods : NULL;
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs;
    return unix_vfs->xDelete(unix_vfs, name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    (void)vfs;
    return unix_vfs->xAccess(unix_vfs, name, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int capacity, char *path) {
    (void)vfs;
    return unix_vfs->xFullPathname(unix_vfs, name, capacity, path);
}

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *bytes) {
    (void)vfs;
    return unix_vfs->xRandomness(unix_vfs, count, bytes);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return unix_vfs->xSleep(unix_vfs, microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *days) {
    (void)vfs;
    return unix_vfs->xCurrentTime(unix_vfs, days);
}

static int vfs_error(sqlite3_vfs *vfs, int capacity, char *text) {
    (void)vfs;
    return unix_vfs->xGetLastError(unix_vfs, capacity, text);
}

/// Version 1, without the calls that load extensions: there are none.
static sqlite3_vfs checked_vfs = {
    .iVersion = 1,
    .zName = "qnode-checked",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_error,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered = SQLITE_ERROR;

static void register_vfs(void) {
    unix_vfs = sqlite3_vfs_find("unix");
    if (!unix_vfs) return;
    checked_vfs.szOsFile = (int)sizeof(struct qn_file) + unix_vfs->szOsFile;
    checked_vfs.mxPathname = unix_vfs->mxPathname;
    registered = sqlite3_vfs_register(&checked_vfs, 0);
}

int qn_checked_open(const char *path, sqlite3 **connection) {
    *connection = NULL;
    pthread_once(&once, register_vfs);
    if (registered != SQLITE_OK) return registered;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, connection, flags, checked_vfs.zName);
    if (code != SQLITE_OK) return code;
    // Of a database that is made now; one that is there keeps its own, and the first page of another size is refused.
    int bytes = QN_OURS;
    char pragma[32];
    snprintf(pragma, sizeof pragma, "PRAGMA page_size=%d", QN_PAGE);
    code = sqlite3_exec(*connection, pragma, NULL, NULL, NULL);
    if (code != SQLITE_OK) return code;
    return sqlite3_file_control(*connection, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}
