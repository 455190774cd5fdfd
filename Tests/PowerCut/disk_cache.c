// Gives the guest's disks a write cache that a power cut empties. Preloaded into user-mode Linux: before a write
// changes a disk's file, the bytes that it covers go to a journal beside the file; a flush empties the journal. What
// the journal holds when the machine dies was never promised to be durable, and campaign.py takes any of it back.
//
// A flush never reaches the disk's file: user-mode Linux 6.1 hands it to its I/O thread as a request without parts, and
// does nothing for a request without parts. So the flush is seen where the I/O thread reads its requests.
//
// POWERCUT_DISKS: the disks' files, separated by colons; the journal of FILE is FILE.undo. A record is offset and
// length, 64 bits each, and the bytes that were there. POWERCUT_FLUSH_US: how long a flush takes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { mostDisks = 4, mostBytes = 4 << 20, mostParts = 1 << 16 };

// struct io_thread_req of arch/um/drivers/ubd_kern.c, Linux 5 and 6, up to what is read here.
struct request {
    void *request;
    int files[2];
    unsigned long offsets[2];
    unsigned long long offset;
    int sector, error, parts;
};

static struct { dev_t device; ino_t inode; int undo; } disks[mostDisks];
static int diskCount;
static long kernel, thread, flushTime;
static ssize_t (*realRead)(int, void *, size_t);
static ssize_t (*realReadAt)(int, void *, size_t, off64_t);
static ssize_t (*realWriteAt)(int, const void *, size_t, off64_t);

static void fail(const char *what) {
    dprintf(2, "disk_cache: %s: %s\n", what, strerror(errno));
    _exit(70);
}

__attribute__((constructor)) static void begin(void) {
    realRead = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    realReadAt = (ssize_t (*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
    realWriteAt = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    kernel = syscall(SYS_gettid);
    flushTime = getenv("POWERCUT_FLUSH_US") ? atol(getenv("POWERCUT_FLUSH_US")) : 0;
    const char *given = getenv("POWERCUT_DISKS");
    char *paths = given ? strdup(given) : NULL;
    for (char *path = paths ? strtok(paths, ":") : NULL; path; path = strtok(NULL, ":")) {
        struct stat found;
        char journal[4096];
        if (diskCount == mostDisks || stat(path, &found) != 0) fail(path);
        snprintf(journal, sizeof journal, "%s.undo", path);
        disks[diskCount].device = found.st_dev;
        disks[diskCount].inode = found.st_ino;
        disks[diskCount].undo = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (disks[diskCount].undo < 0) fail(journal);
        diskCount += 1;
    }
}

// The journal of the disk that a descriptor is, or -1.
static int journalOf(int fd) {
    struct stat found;
    if (diskCount == 0 || fstat(fd, &found) != 0) return -1;
    for (int disk = 0; disk < diskCount; disk += 1) {
        if (disks[disk].device == found.st_dev && disks[disk].inode == found.st_ino) return disks[disk].undo;
    }
    return -1;
}

// The I/O thread shares the kernel's memory and is known by what it does.
static void noteThread(void) {
    long self = syscall(SYS_gettid);
    if (self != kernel) thread = self;
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset) {
    if (thread == 0 && journalOf(fd) >= 0) noteThread();
    return realReadAt(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    static unsigned char record[16 + mostBytes];
    int journal = journalOf(fd);
    if (journal >= 0) {
        uint64_t head[2] = {(uint64_t)offset, count};
        if (thread == 0) noteThread();
        if (count > mostBytes) { errno = EFBIG; fail("a write is too long"); }
        memcpy(record, head, sizeof head);
        if (realReadAt(fd, record + 16, count, offset) != (ssize_t)count) fail("reading what is overwritten");
        if (write(journal, record, 16 + count) != (ssize_t)(16 + count)) fail("writing the journal");
    }
    return realWriteAt(fd, bytes, count, offset);
}

// A flush covers the writes that were completed before it was asked for, so none that is read with it or after it.
ssize_t read(int fd, void *bytes, size_t count) {
    ssize_t result = realRead(fd, bytes, count);
    if (thread == 0 || result <= 0 || result % sizeof(void *) != 0 || syscall(SYS_gettid) != thread) return result;
    for (struct request **next = bytes; (char *)next < (char *)bytes + result; next += 1) {
        int journal = journalOf((*next)->files[0]);
        if (journal < 0 || (*next)->parts < 0 || (*next)->parts > mostParts) {
            errno = EPROTO;
            fail("this user-mode Linux has another form of request");
        }
        if ((*next)->parts > 0) continue;
        // The kernel's timer may interrupt it: then the flush is shorter, which is no harm.
        if (flushTime > 0) usleep((useconds_t)flushTime);
        if (ftruncate(journal, 0) != 0) fail("emptying the journal");
    }
    return result;
}
