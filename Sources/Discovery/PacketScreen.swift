internal import Glibc

/// Keeps from libavahi-core what it cannot bear: looks at each packet before Avahi reads it.
///
/// Avahi 0.8 aborts the whole process when an alias (CNAME) of a name that is being asked for expires or changes
/// (CVE-2025-68468, CVE-2025-68471): a few packets from anybody on the link would end a recording. No node has a use
/// for aliases, so a packet with one is dropped whole, and so is one whose records do not add up.
enum PacketScreen {
    /// The largest packet of multicast DNS (RFC 6762, 17).
    static let packetBytes = 9000

    /// Whether the next packet is to be read by Avahi; one that is not has been taken from the socket.
    static func admits(from socket: Int32) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: packetBytes, alignment: 1) { buffer in
            let flags = Int32(MSG_PEEK) | Int32(MSG_DONTWAIT) | Int32(MSG_TRUNC)
            let length = recv(socket, buffer.baseAddress, buffer.count, flags)
            // Nothing there, or an error of the socket: Avahi's to see.
            guard length >= 0 else { return true }
            if length <= buffer.count, isBearable(buffer[..<length]) { return true }
            _ = recv(socket, buffer.baseAddress, 0, Int32(MSG_DONTWAIT))
            return false
        }
    }

    /// Whether a DNS message is whole and without aliases.
    static func isBearable<Bytes: RandomAccessCollection>(_ bytes: Bytes) -> Bool
    where Bytes.Element == UInt8, Bytes.Index == Int {
        var rest = Cursor(bytes: bytes, at: bytes.startIndex)
        guard rest.skip(4), let questions = rest.number(), let answers = rest.number(), let authorities = rest.number(),
            let additional = rest.number()
        else { return false }
        for _ in 0..<questions {
            guard rest.skipName(), rest.skip(4) else { return false }
        }
        for _ in 0..<answers + authorities + additional {
            guard rest.skipName(), let kind = rest.number(), !aliases.contains(kind), rest.skip(6),
                let length = rest.number(), rest.skip(length)
            else { return false }
        }
        return true
    }

    /// CNAME and DNAME.
    private static let aliases: Set<Int> = [5, 39]

    private struct Cursor<Bytes: RandomAccessCollection> where Bytes.Element == UInt8, Bytes.Index == Int {
        let bytes: Bytes
        var at: Int

        mutating func skip(_ count: Int) -> Bool {
            guard bytes.endIndex - at >= count else { return false }
            at += count
            return true
        }

        mutating func number() -> Int? {
            guard bytes.endIndex - at >= 2 else { return nil }
            defer { at += 2 }
            return Int(bytes[at]) << 8 | Int(bytes[at + 1])
        }

        /// To the end of a name as it stands here; a pointer ends it, and is not followed.
        mutating func skipName() -> Bool {
            while at < bytes.endIndex {
                let length = Int(bytes[at])
                if length == 0 { return skip(1) }
                if length & 0xc0 == 0xc0 { return skip(2) }
                guard length < 64, skip(1 + length) else { return false }
            }
            return false
        }
    }
}
