// A sync that promises and does nothing. Preloaded into the nodes by `Deploy/powercut --no-sync`, to see that the
// judge finds what a recorder loses that does not sync.
int fsync(int fd) { (void)fd; return 0; }

int fdatasync(int fd) { (void)fd; return 0; }

int sync_file_range(int fd, long long offset, long long count, unsigned int flags) {
    (void)fd; (void)offset; (void)count; (void)flags;
    return 0;
}

int syncfs(int fd) { (void)fd; return 0; }
