#pragma once
// What Swift cannot import of Linux: variadic calls, macros, and calls that the Glibc module hides.
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/types.h>

/// openat(2) is variadic.
int qn_openat(int directory, const char *path, int flags, mode_t mode);
/// renameat2(2) with RENAME_NOREPLACE.
int qn_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);
/// ioctl(2) FICLONE: `to` becomes a reflink of `from`, where the file system has them.
int qn_clone(int from, int to);
/// fallocate(2) with mode 0.
int qn_allocate(int descriptor, int64_t length);
/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE over the whole file; what it returns tells nothing that fsync(2) does not.
void qn_start_writeback(int descriptor);
/// sync_file_range(2) with SYNC_FILE_RANGE_WAIT_BEFORE over the whole file: waits for what is being written, and fails where an error of
/// the file was not told to this descriptor yet.
int qn_check_writeback(int descriptor);
/// Whether the file system is one whose syncfs(2) syncs all and fails where that did: 1, 0, or -1.
int qn_file_system_syncs_whole(int descriptor);
/// syncfs(2), which Glibc declares for GNU sources only.
int qn_syncfs(int descriptor);
/// flock(2), exclusive, without waiting.
int qn_lock_exclusive(int descriptor);
/// flock(2): gives the lock back.
int qn_unlock(int descriptor);
/// Names the calling thread for debuggers and top.
void qn_thread_name(const char *name);
/// ioctl(2) TIOCEXCL.
int qn_tty_exclusive(int descriptor);
/// ioctl(2) TIOCNXCL.
int qn_tty_shared(int descriptor);
/// tcflush(3) TCOFLUSH: what was not sent yet is not waited for by close(2).
int qn_tty_discard_output(int descriptor);
/// Raw, 8N1, no flow control, CLOCAL and CREAD, VMIN 1, at this many baud; EINVAL where the tty or termios has no such rate.
int qn_tty_raw(int descriptor, int baud);
/// ioctl(2) TIOCVHANGUP: what pulling out a USB adapter does to its tty.
int qn_tty_hangup(int descriptor);
/// The slave's path of a pty master, 0 or an errno.
int qn_pty_name(int master, char *name, size_t capacity);
/// posix_openpt(3), grantpt(3), unlockpt(3) in one: the master's descriptor, or -1.
int qn_pty_open(void);
/// CRC-32C (Castagnoli), continued from `crc` (0 at the start); instructions of the processor where it has them.
uint32_t qn_crc32c(uint32_t crc, const void *bytes, size_t length);
/// The same by table, for tests of the other.
uint32_t qn_crc32c_table(uint32_t crc, const void *bytes, size_t length);
/// A non-blocking rtnetlink socket that gets a message at each change of a link or an address, or -1.
int qn_network_changes_open(void);

/// What the kernel counts of a TCP connection (TCP_INFO): payload in order that arrived, payload of ours that the peer has, segments
/// that arrived, pure acknowledgements among them, and the largest lately.
struct qn_tcp_figures {
    int64_t bytes_received;
    int64_t bytes_acknowledged;
    int64_t segments_received;
    int32_t segment_bytes;
    bool has_timestamps;
};
/// getsockopt(2) TCP_INFO, whose struct <netinet/tcp.h> cuts short: 0 or an errno.
int qn_tcp_figures(int descriptor, struct qn_tcp_figures *figures);
/// setsockopt(2) TCP_WINDOW_CLAMP: 0 or an errno.
int qn_tcp_set_window_limit(int descriptor, int bytes);
/// setsockopt(2) TCP_MAXSEG: 0 or an errno.
int qn_tcp_set_segment_limit(int descriptor, int bytes);
