internal import Glibc

/// The kinds of DNS record that finding a service takes; raw values are those of RFC 1035, 2782 and 3596.
package enum RecordKind: UInt16, Hashable, Sendable {
    case address4 = 1
    case pointer = 12
    case text = 16
    case address6 = 28
    case service = 33
}

/// What is asked of the link: all records of one name and kind, and every change of them.
package struct Question: Hashable, Sendable, CustomStringConvertible {
    package let name: DomainName
    package let kind: RecordKind

    package init(_ name: DomainName, _ kind: RecordKind) {
        self.name = name
        self.kind = kind
    }

    package var description: String { "\(kind) of \(name)" }
}

/// An interface, and the protocol (IPv4 or IPv6) that the multicast came by.
package struct Link: Hashable, Sendable {
    package let interface: Int32
    package let overIPv6: Bool

    package init(interface: Int32, overIPv6: Bool) {
        self.interface = interface
        self.overIPv6 = overIPv6
    }
}

/// An answer that appeared on a link, or went.
package struct RecordChange: Hashable, Sendable {
    package let question: Question
    package let link: Link
    package let rdata: [UInt8]
    package let appeared: Bool

    package init(question: Question, link: Link, rdata: [UInt8], appeared: Bool) {
        self.question = question
        self.link = link
        self.rdata = rdata
        self.appeared = appeared
    }
}

/// A record's data, parsed.
package enum RecordContent: Hashable, Sendable {
    case pointer(DomainName)
    case service(host: DomainName, port: UInt16)
    case text(ServiceText)
    case address(IPAddress)

    /// Nil where the bytes are not what their kind says.
    package init?(_ kind: RecordKind, rdata: [UInt8]) {
        switch kind {
        case .pointer:
            guard let name = DomainName(wire: rdata[...]) else { return nil }
            self = .pointer(name)
        case .service:
            // Priority and weight choose among several hosts of one service; a node is one host.
            guard rdata.count > 6, let host = DomainName(wire: rdata[6...]) else { return nil }
            self = .service(host: host, port: UInt16(rdata[4]) << 8 | UInt16(rdata[5]))
        case .text:
            guard let text = ServiceText(rdata: rdata) else { return nil }
            self = .text(text)
        case .address4, .address6:
            guard rdata.count == (kind == .address4 ? 4 : 16), let address = IPAddress(rdata) else { return nil }
            self = .address(address)
        }
    }
}

/// An IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable, Comparable {
    package let bytes: [UInt8]

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    package enum Reach: Int, Comparable, Sendable {
        case routed4, linkLocal4, loopback4, routed6, linkLocal6, loopback6
        /// Unspecified, multicast, broadcast, mapped: nothing one can dial.
        case none

        package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
        package var isLoopback: Bool { self == .loopback4 || self == .loopback6 }
    }

    /// How far the address carries; the order in which addresses are tried.
    package var reach: Reach {
        if bytes.count == 4 {
            switch (bytes[0], bytes[1]) {
            case (0, _), (224..., _): return .none
            case (127, _): return .loopback4
            case (169, 254): return .linkLocal4
            default: return .routed4
            }
        }
        if bytes[0] == 0xff { return .none }
        if bytes[0] == 0xfe, bytes[1] & 0xc0 == 0x80 { return .linkLocal6 }
        if bytes[..<10].allSatisfy({ $0 == 0 }) { return bytes[10...] == [0, 0, 0, 0, 0, 1] ? .loopback6 : .none }
        return .routed6
    }

    /// The literal, without a scope.
    package var text: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.reach != rhs.reach ? lhs.reach < rhs.reach : lhs.bytes.lexicographicallyPrecedes(rhs.bytes)
    }
}
