internal import Glibc
package import Model

/// The clocks of this machine. Decisions never read them: they are told the time.
package enum SystemClock {
    /// This boot's id; zero where `/proc` is not there.
    package static let bootID: BootID = {
        guard let directory = try? Directory.open("/proc/sys/kernel/random"),
            let file = try? directory.openFile("boot_id", .read), let bytes = try? file.read(count: 36, at: 0)
        else { return BootID(high: 0, low: 0) }
        return BootID(String(decoding: bytes, as: UTF8.self)) ?? BootID(high: 0, low: 0)
    }()

    package static func reading() -> ClockReading {
        ClockReading(realtime: read(CLOCK_REALTIME), boottime: read(CLOCK_BOOTTIME), bootID: bootID)
    }

    package static func monotonic() -> MonotonicTime { MonotonicTime(nanoseconds: read(CLOCK_MONOTONIC)) }

    /// `CLOCK_MONOTONIC_RAW`, nanoseconds: not slewed by NTP, so what clock exchanges are taken on.
    package static func raw() -> Int64 { read(CLOCK_MONOTONIC_RAW) }

    /// Processor time of the calling thread, nanoseconds.
    package static func threadTime() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
