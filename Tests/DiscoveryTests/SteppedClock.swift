import Glibc
import Reactor

/// A wall clock for other processes that can be set while they run: a library, loaded before libc, that adds the
/// seconds a file holds.
///
/// `faketime` will not do: it steps the monotonic clocks along, and nothing then differs from a clock that was right
/// all the time.
struct SteppedClock: Sendable {
    let folder: String

    var library: String { "\(folder)/clock.so" }
    private var file: String { "\(folder)/clock.offset" }
    var environment: [String: String] { ["LD_PRELOAD": library, "CLOCK_OFFSET_FILE": file] }

    func set(_ seconds: Int64) throws {
        let descriptor = try Directory.open(folder).openFile("clock.offset", .createOrOpen)
        try descriptor.write(withUnsafeBytes(of: seconds) { Array($0) }, at: 0)
    }

    static let source = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>
        static volatile int64_t *offset;
        __attribute__((constructor)) static void start(void) {
            const char *path = getenv("CLOCK_OFFSET_FILE");
            int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            void *map = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
            if (map != MAP_FAILED) offset = map;
        }
        int clock_gettime(clockid_t clock, struct timespec *time) {
            int result = syscall(SYS_clock_gettime, clock, time);
            if (clock == CLOCK_REALTIME && offset) time->tv_sec += *offset;
            return result;
        }
        int gettimeofday(struct timeval *restrict value, void *restrict zone) {
            struct timespec time;
            clock_gettime(CLOCK_REALTIME, &time);
            value->tv_sec = time.tv_sec;
            value->tv_usec = time.tv_nsec / 1000;
            return 0;
        }
        time_t time(time_t *result) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (result) *result = now.tv_sec;
            return now.tv_sec;
        }
        """
}
