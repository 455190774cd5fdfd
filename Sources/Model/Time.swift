/// A moment as a node read it: wall clock, time since boot with sleep, and which boot. Nanoseconds; never corrected.
package struct ClockReading: Hashable, Sendable, Codable {
    /// `CLOCK_REALTIME`, nanoseconds since 1970-01-01T00:00:00Z.
    package let realtime: Int64
    /// `CLOCK_BOOTTIME`, nanoseconds.
    package let boottime: Int64
    /// `/proc/sys/kernel/random/boot_id`.
    package let bootID: BootID

    package init(realtime: Int64, boottime: Int64, bootID: BootID) {
        self.realtime = realtime
        self.boottime = boottime
        self.bootID = bootID
    }

    private enum CodingKeys: String, CodingKey {
        case realtime, boottime
        case bootID = "boot_id"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        realtime = try container.decode(DecimalInt64.self, forKey: .realtime).value
        boottime = try container.decode(DecimalInt64.self, forKey: .boottime).value
        bootID = try container.decode(BootID.self, forKey: .bootID)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(DecimalInt64(realtime), forKey: .realtime)
        try container.encode(DecimalInt64(boottime), forKey: .boottime)
        try container.encode(bootID, forKey: .bootID)
    }
}

/// The two clocks of one row or one commit, where the boot is known from beside it.
package struct ClockPair: Hashable, Sendable, Codable {
    package let realtime: Int64
    package let boottime: Int64

    package init(realtime: Int64, boottime: Int64) {
        self.realtime = realtime
        self.boottime = boottime
    }
    package init(_ reading: ClockReading) { self.init(realtime: reading.realtime, boottime: reading.boottime) }

    private enum CodingKeys: String, CodingKey { case realtime, boottime }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        realtime = try container.decode(DecimalInt64.self, forKey: .realtime).value
        boottime = try container.decode(DecimalInt64.self, forKey: .boottime).value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(DecimalInt64(realtime), forKey: .realtime)
        try container.encode(DecimalInt64(boottime), forKey: .boottime)
    }
}

/// An integer that travels as a decimal string: JavaScript rounds numbers beyond 2^53.
package struct DecimalInt64: Hashable, Sendable, Codable {
    package let value: Int64

    package init(_ value: Int64) { self.value = value }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Int64(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a decimal 64-bit integer")
        }
        self.value = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(String(value))
    }
}

/// A point on `CLOCK_MONOTONIC` of this process, in nanoseconds: what time-outs and intervals are reckoned in.
package struct MonotonicTime: Hashable, Sendable, Comparable, InstantProtocol {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package func advanced(by duration: Duration) -> Self { Self(nanoseconds: nanoseconds + duration.nanoseconds) }
    package func duration(to other: Self) -> Duration { .nanoseconds(other.nanoseconds - nanoseconds) }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.nanoseconds < rhs.nanoseconds }
}

extension Duration {
    /// Whole nanoseconds, saturating.
    package var nanoseconds: Int64 {
        let (seconds, fraction) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, carried) = product.addingReportingOverflow(fraction / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    package var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
