#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
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

int qn_syncfs(int descriptor) {
    return syncfs(descriptor);
}

void qn_start_writeback(int descriptor) {
    (void)!sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int qn_check_writeback(int descriptor) { return sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE); }

int qn_file_system_syncs_whole(int descriptor) {
    struct statfs status;
    if (fstatfs(descriptor, &status) != 0) return -1;
    switch ((uint32_t)status.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC: return 1;
    default: return 0;
    }
}

int qn_lock_exclusive(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }

int qn_unlock(int descriptor) { return flock(descriptor, LOCK_UN); }

void qn_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

int qn_tty_exclusive(int descriptor) { return ioctl(descriptor, TIOCEXCL); }

int qn_tty_shared(int descriptor) { return ioctl(descriptor, TIOCNXCL); }

int qn_tty_discard_output(int descriptor) { return tcflush(descriptor, TCOFLUSH); }

static speed_t speed_of(int baud) {
    static const struct { int baud; speed_t speed; } speeds[] = {
        {300, B300}, {600, B600}, {1200, B1200}, {1800, B1800}, {2400, B2400}, {4800, B4800}, {9600, B9600},
        {19200, B19200}, {38400, B38400}, {57600, B57600}, {115200, B115200}, {230400, B230400}, {460800, B460800},
        {500000, B500000}, {576000, B576000}, {921600, B921600}, {1000000, B1000000}, {1500000, B1500000},
        {2000000, B2000000}, {3000000, B3000000}, {4000000, B4000000},
    };
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].baud == baud) return speeds[i].speed;
    return B0;
}

int qn_tty_raw(int descriptor, int baud) {
    speed_t speed = speed_of(baud);
    if (speed == B0) {
        errno = EINVAL;
        return -1;
    }
    struct termios settings;
    if (tcgetattr(descriptor, &settings) != 0) return -1;
    cfmakeraw(&settings);
    settings.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | CRTSCTS | HUPCL);
    settings.c_cflag |= CS8 | CLOCAL | CREAD;
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    if (cfsetspeed(&settings, speed) != 0 || tcsetattr(descriptor, TCSANOW, &settings) != 0) return -1;
    // tcsetattr succeeds where any one of the changes was made: what matters is read back.
    struct termios found;
    if (tcgetattr(descriptor, &found) != 0) return -1;
    if (cfgetospeed(&found) != speed || (found.c_lflag & (ICANON | ECHO)) != 0) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

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
