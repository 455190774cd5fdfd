#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

int qn_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}

int qn_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int qn_clone(int from, int to) { return ioctl(to, FICLONE, from); }

int qn_allocate(int descriptor, int64_t length) { return fallocate(descriptor, 0, 0, (off_t)length); }

int qn_lock_exclusive(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }

void qn_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

int qn_tty_exclusive(int descriptor) { return ioctl(descriptor, TIOCEXCL); }

#ifndef TIOCVHANGUP
#define TIOCVHANGUP 0x5437
#endif
int qn_tty_hangup(int descriptor) { return ioctl(descriptor, TIOCVHANGUP); }

int qn_pty_name(int master, char *name, size_t capacity) { return ptsname_r(master, name, capacity); }

int qn_pty_open(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0) return -1;
    if (grantpt(master) != 0 || unlockpt(master) != 0) {
        int code = errno;
        close(master);
        errno = code;
        return -1;
    }
    return master;
}
