internal import CAvahi
internal import Model
internal import Reactor

/// Where libavahi-core's messages go: this node's log, errors and warnings as warnings, all else for debugging.
///
/// Avahi has one log function for the process. It repeats itself at every packet when a link refuses to send, so lines
/// are limited.
enum AvahiLog {
    private struct Sink {
        var log: Log?
        var throttle = LineThrottle()
    }
    private static let sink = Locked(Sink())

    static func install(_ log: Log) {
        sink.withLock { $0.log = log }
        avahi_set_log_function { level, text in
            guard let text else { return }
            AvahiLog.take(level, String(cString: text))
        }
    }

    private static func take(_ level: AvahiLogLevel, _ text: String) {
        // Beside an avahi-daemon or another node on this host, which is meant to be: no warning.
        let isExpected = text.contains("another IPv")
        let isWarning = level.rawValue <= AVAHI_LOG_WARN.rawValue && !isExpected
        let (log, verdict) = sink.withLock { sink in
            (sink.log, sink.throttle.verdict(isWarning: isWarning, now: SystemClock.monotonic()))
        }
        guard let log, case .write(let unwritten) = verdict else { return }
        if unwritten > 0 { log.debug("avahi said more than is written here", ("lines", unwritten)) }
        if isWarning { log.warning("avahi: \(text)") } else { log.debug("avahi: \(text)") }
    }
}

/// Lets through a handful of lines at once and then one at an interval, warnings apart from the rest.
struct LineThrottle: Sendable {
    enum Verdict: Hashable, Sendable {
        /// Write it; so many were left out since the last.
        case write(unwritten: Int)
        case leaveOut
    }

    private struct Bucket {
        var tokens: Int = LineThrottle.burst
        var filled: MonotonicTime?
        var unwritten = 0
    }
    private var buckets = (warnings: Bucket(), rest: Bucket())

    static let burst = 10
    static let interval = Duration.seconds(10)

    mutating func verdict(isWarning: Bool, now: MonotonicTime) -> Verdict {
        isWarning ? Self.take(&buckets.warnings, now) : Self.take(&buckets.rest, now)
    }

    private static func take(_ bucket: inout Bucket, _ now: MonotonicTime) -> Verdict {
        if let filled = bucket.filled {
            let earned = Int(filled.duration(to: now).nanoseconds / interval.nanoseconds)
            if earned > 0 {
                bucket.tokens = min(burst, bucket.tokens + min(earned, burst))
                bucket.filled = now
            }
        } else {
            bucket.filled = now
        }
        guard bucket.tokens > 0 else {
            bucket.unwritten += 1
            return .leaveOut
        }
        bucket.tokens -= 1
        defer { bucket.unwritten = 0 }
        return .write(unwritten: bucket.unwritten)
    }
}
