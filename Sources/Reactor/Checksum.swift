internal import CLinux

/// CRC-32C (Castagnoli), as the write-ahead log and the log of facts carry it.
package struct Checksum: Hashable, Sendable {
    package private(set) var value: UInt32 = 0

    package init() {}
    package init(_ bytes: [UInt8]) { update(bytes[...]) }
    package init(_ bytes: ArraySlice<UInt8>) { update(bytes) }
    /// Goes on from a value that was kept.
    package init(continuing value: UInt32) { self.value = value }

    package mutating func update(_ bytes: ArraySlice<UInt8>) {
        value = bytes.withUnsafeBytes { qn_crc32c(value, $0.baseAddress, $0.count) }
    }
}
