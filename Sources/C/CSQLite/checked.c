#include "checked.h"

#include <CLinux.h>
#include <string.h>

// Files as SQLite's "Database File Format" describes them, with pages of one size. The last bytes of each page, in the
// database and in the frames of the -wal, are ours: SQLite sees zeros there and its own checksums are of these zeros.
//
//     0  CRC-32C of the page's number, its content and the rest of these bytes
//     4  page 1 of the database alone, else 0: frames of the -wal that a checkpoint copies or copied; the top bit says
//        that not all of them are here yet
//     8  salts of that -wal
//
// The mark in page 1 is for what the checksums of pages cannot tell: a database that has pages of frames which the -wal
// lost meanwhile is a mixture of two times, each page of it sound.

enum { PAGE = QN_PAGE, OURS = QN_OURS, CONTENT = PAGE - OURS, MARK = OURS - 4 };
enum { WAL_HEADER = 32, FRAME_HEADER = 24, FRAME = FRAME_HEADER + PAGE };
/// The head that is read before the size of a page is known, and the change counter: page 1 is checked after either.
enum { HEAD = 100, COUNTER = 16, COUNTER_AT = 24 };
/// Of page 1 while another process writes its mark.
enum { ATTEMPTS = 8 };
#define UNFINISHED 0x80000000u

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void put32(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t checksum(const uint8_t *page, uint32_t number) {
    uint8_t place[4];
    put32(place, number);
    uint32_t crc = qn_crc32c(0, place, sizeof place);
    crc = qn_crc32c(crc, page, CONTENT);
    return qn_crc32c(crc, page + PAGE - MARK, MARK);
}

static bool is_sound(const uint8_t *page, uint32_t number) { return get32(page + CONTENT) == checksum(page, number); }

static int real_read(struct qn_file *file, void *bytes, int amount, sqlite3_int64 offset) {
    return file->real->pMethods->xRead(file->real, bytes, amount, offset);
}

static int real_write(struct qn_file *file, const void *bytes, int amount, sqlite3_int64 offset) {
    return file->real->pMethods->xWrite(file->real, bytes, amount, offset);
}

/// A page of the database with our bytes. The pager takes a short read for zeros: here it is damage.
static int read_page(struct qn_file *file, uint32_t number, uint8_t *page) {
    for (int attempt = 1;; attempt++) {
        int code = real_read(file, page, PAGE, (sqlite3_int64)(number - 1) * PAGE);
        if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return code;
        if (code == SQLITE_OK && is_sound(page, number)) return SQLITE_OK;
        if (number != 1 || attempt == ATTEMPTS) return QN_DAMAGED;
    }
}

// MARK: The mark

/// Frames and salts as the mark has them, from the head of the wal-index; false while another process writes that.
static bool read_wal(const struct qn_file *file, uint8_t *mark) {
    enum { COPY = 48, INITIALIZED = 12, FRAMES = 16, SALTS = 32 };
    uint8_t head[2 * COPY];
    for (size_t i = 0; i < sizeof head; i++) head[i] = file->shared[i];
    if (memcmp(head, head + COPY, COPY) != 0 || head[INITIALIZED] == 0) return false;
    uint32_t frames;
    memcpy(&frames, head + FRAMES, sizeof frames);
    put32(mark, frames);
    memcpy(mark + 4, head + SALTS, 8);
    return true;
}

/// Whether the -wal, if there is one, is a sequel to the database.
static int compare_mark(struct qn_file *file) {
    sqlite3_int64 size;
    int code = file->real->pMethods->xFileSize(file->real, &size);
    if (code != SQLITE_OK || size == 0) return code;
    uint8_t page[PAGE];
    code = read_page(file, 1, page);
    if (code != SQLITE_OK) return code;
    const uint8_t *mark = page + PAGE - MARK;
    uint32_t frames = get32(mark);
    if (frames == 0) return SQLITE_OK;
    uint8_t wal[MARK] = {0};
    if (file->shared && !read_wal(file, wal)) return QN_DAMAGED;
    bool same = file->shared && memcmp(mark + 4, wal + 4, 8) == 0;
    bool sequel = same ? get32(wal) >= (frames & ~UNFINISHED) : (frames & UNFINISHED) == 0;
    return sequel ? SQLITE_OK : QN_DAMAGED;
}

/// Before the first page that is read or written: SQLite has recovered the -wal by then, as far as it was sound. The mark
/// is read before the wal-index; a process that goes on meanwhile is seen as of two times, so again.
static int settle(struct qn_file *file) {
    for (int attempt = 0; !file->settled; attempt++) {
        int code = compare_mark(file);
        if (code == SQLITE_OK) file->settled = true;
        if (code != SQLITE_OK && (code != QN_DAMAGED || attempt == ATTEMPTS)) return code;
    }
    return SQLITE_OK;
}

/// Durable when it returns. All that changes is in the last sector of page 1.
static int write_mark(struct qn_file *file, bool unfinished) {
    uint8_t page[PAGE];
    int code = read_page(file, 1, page);
    if (code != SQLITE_OK) return code;
    uint8_t *mark = page + PAGE - MARK;
    if (unfinished) {
        if (!file->shared || !read_wal(file, mark)) return SQLITE_IOERR_WRITE;
        put32(mark, get32(mark) | UNFINISHED);
    } else {
        put32(mark, get32(mark) & ~UNFINISHED);
    }
    put32(page + CONTENT, checksum(page, 1));
    code = real_write(file, page + CONTENT, OURS, CONTENT);
    return code == SQLITE_OK ? file->real->pMethods->xSync(file->real, SQLITE_SYNC_NORMAL) : code;
}

// MARK: Pages of the database

static int read_database(struct qn_file *file, uint8_t *bytes, int amount, sqlite3_int64 offset) {
    if ((amount == HEAD && offset == 0) || (amount == COUNTER && offset == COUNTER_AT))
        return real_read(file, bytes, amount, offset);
    // The size of a page is read before page 1 was checked.
    if (amount != PAGE || offset % PAGE != 0) return QN_DAMAGED;
    int code = settle(file);
    if (code == SQLITE_OK) code = read_page(file, (uint32_t)(offset / PAGE) + 1, bytes);
    if (code == SQLITE_OK) memset(bytes + CONTENT, 0, OURS);
    return code;
}

static int write_database(struct qn_file *file, const uint8_t *bytes, int amount, sqlite3_int64 offset) {
    if (amount != PAGE || offset % PAGE != 0) return SQLITE_IOERR_WRITE;
    int code = settle(file);
    if (code != SQLITE_OK) return code;
    if (file->copying && !file->marked) {
        code = write_mark(file, true);
        if (code != SQLITE_OK) return code;
        file->marked = true;
    }
    uint8_t page[PAGE];
    uint8_t mark[MARK] = {0};
    uint32_t number = (uint32_t)(offset / PAGE) + 1;
    if (number == 1 && file->marked) {
        code = read_page(file, 1, page);
        if (code != SQLITE_OK) return code;
        memcpy(mark, page + PAGE - MARK, MARK);
    }
    memcpy(page, bytes, CONTENT);
    memcpy(page + PAGE - MARK, mark, MARK);
    put32(page + CONTENT, checksum(page, number));
    return real_write(file, page, PAGE, offset);
}

// MARK: Frames of the -wal

static bool is_frame(sqlite3_int64 offset) { return offset >= WAL_HEADER && (offset - WAL_HEADER) % FRAME == 0; }

static int page_of_frame(struct qn_file *file, sqlite3_int64 frame, uint32_t *number) {
    if (file->frame == frame) {
        *number = file->frame_page;
        return SQLITE_OK;
    }
    uint8_t bytes[4];
    int code = real_read(file, bytes, sizeof bytes, frame);
    *number = get32(bytes);
    return code;
}

static int read_wal_file(struct qn_file *file, uint8_t *bytes, int amount, sqlite3_int64 offset) {
    if (amount == PAGE && is_frame(offset - FRAME_HEADER)) {
        uint8_t header[4];
        int code = settle(file->database);
        if (code == SQLITE_OK) code = real_read(file, header, sizeof header, offset - FRAME_HEADER);
        if (code == SQLITE_OK) code = real_read(file, bytes, amount, offset);
        if (code == SQLITE_IOERR_SHORT_READ) return QN_DAMAGED;
        if (code == SQLITE_OK && !is_sound(bytes, get32(header))) return QN_DAMAGED;
        if (code == SQLITE_OK) memset(bytes + CONTENT, 0, OURS);
        return code;
    }
    int code = real_read(file, bytes, amount, offset);
    // Recovery: a frame that is not sound stays as it is, and SQLite takes it for the end.
    uint8_t *page = bytes + FRAME_HEADER;
    if (code == SQLITE_OK && amount == FRAME && is_sound(page, get32(bytes))) memset(page + CONTENT, 0, OURS);
    return code;
}

static int write_wal_file(struct qn_file *file, const uint8_t *bytes, int amount, sqlite3_int64 offset) {
    if (amount == WAL_HEADER && offset == 0) return real_write(file, bytes, amount, offset);
    if (amount == FRAME_HEADER && is_frame(offset)) {
        file->frame = offset;
        file->frame_page = get32(bytes);
        return real_write(file, bytes, amount, offset);
    }
    if (amount != PAGE || !is_frame(offset - FRAME_HEADER)) return SQLITE_IOERR_WRITE;
    uint8_t page[PAGE];
    uint32_t number;
    // A page that changes twice in a transaction is written again without its header.
    int code = page_of_frame(file, offset - FRAME_HEADER, &number);
    if (code != SQLITE_OK) return code;
    memcpy(page, bytes, CONTENT);
    memset(page + CONTENT, 0, OURS);
    put32(page + CONTENT, checksum(page, number));
    return real_write(file, page, PAGE, offset);
}

// MARK: Methods of a file

static bool is_database(const struct qn_file *file) { return file->database == file; }

static int file_close(sqlite3_file *base) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xClose(file->real);
}

static int file_read(sqlite3_file *base, void *bytes, int amount, sqlite3_int64 offset) {
    struct qn_file *file = (struct qn_file *)base;
    int code = (is_database(file) ? read_database : read_wal_file)(file, bytes, amount, offset);
    if (code != SQLITE_OK) file->database->whole = false;
    return code;
}

static int file_write(sqlite3_file *base, const void *bytes, int amount, sqlite3_int64 offset) {
    struct qn_file *file = (struct qn_file *)base;
    // SQLite never writes to the bytes that it was told to leave; were it otherwise, they would be lost here.
    if (amount == PAGE) {
        static const uint8_t zeros[OURS];
        if (memcmp((const uint8_t *)bytes + CONTENT, zeros, OURS) != 0) return SQLITE_IOERR_WRITE;
    }
    int code = (is_database(file) ? write_database : write_wal_file)(file, bytes, amount, offset);
    if (code != SQLITE_OK) file->database->whole = false;
    return code;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xTruncate(file->real, size);
}

static int file_sync(sqlite3_file *base, int flags) {
    struct qn_file *file = (struct qn_file *)base;
    int code = file->real->pMethods->xSync(file->real, flags);
    // A checkpoint syncs the database once it has copied all there is.
    if (code == SQLITE_OK && is_database(file) && file->marked && !file->copying && file->whole) {
        code = write_mark(file, false);
        file->marked = false;
    }
    return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xFileSize(file->real, size);
}

static int file_lock(sqlite3_file *base, int level) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xLock(file->real, level);
}

static int file_unlock(sqlite3_file *base, int level) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xUnlock(file->real, level);
}

static int file_check_reserved(sqlite3_file *base, int *result) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xCheckReservedLock(file->real, result);
}

static int file_control(sqlite3_file *base, int operation, void *argument) {
    struct qn_file *file = (struct qn_file *)base;
    if (operation == SQLITE_FCNTL_CKPT_START) {
        file->copying = true;
        file->marked = false;
        file->whole = true;
    } else if (operation == SQLITE_FCNTL_CKPT_DONE) {
        file->copying = false;
    }
    return file->real->pMethods->xFileControl(file->real, operation, argument);
}

static int file_sector_size(sqlite3_file *base) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xSectorSize(file->real);
}

static int file_characteristics(sqlite3_file *base) {
    struct qn_file *file = (struct qn_file *)base;
    // Of what a file system may promise, only what holds with a checksum in the page.
    return file->real->pMethods->xDeviceCharacteristics(file->real)
           & (SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN | SQLITE_IOCAP_SEQUENTIAL);
}

static int file_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **memory) {
    struct qn_file *file = (struct qn_file *)base;
    int code = file->real->pMethods->xShmMap(file->real, region, size, extend, memory);
    if (code == SQLITE_OK && region == 0 && *memory && !file->shared) {
        file->shared = *memory;
        file->settled = false;
    }
    return code;
}

static int file_shm_lock(sqlite3_file *base, int offset, int count, int flags) {
    struct qn_file *file = (struct qn_file *)base;
    return file->real->pMethods->xShmLock(file->real, offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *base) {
    struct qn_file *file = (struct qn_file *)base;
    file->real->pMethods->xShmBarrier(file->real);
}

static int file_shm_unmap(sqlite3_file *base, int delete) {
    struct qn_file *file = (struct qn_file *)base;
    file->shared = NULL;
    return file->real->pMethods->xShmUnmap(file->real, delete);
}

/// Version 2 has no xFetch: no page is read by mapping the file.
const sqlite3_io_methods qn_checked_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};
