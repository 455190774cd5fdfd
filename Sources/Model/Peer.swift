/// What a node is set up for. A role only chooses defaults and the list of services; nothing else asks for it.
package enum Role: String, Hashable, Sendable, Codable, CaseIterable {
    case vehicle, topside
}

/// Where a node listens: an IP literal (IPv6 with its scope, `fe80::1%eth0`, without brackets) or a host name, and a
/// port. Printed `host:port`, `[v6%scope]:port`.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible, Codable {
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `HOST:PORT` or `[IPV6]:PORT`; without a port, `defaultPort`. Nil where the text is neither.
    package init?(_ text: some StringProtocol, defaultPort: UInt16? = nil) {
        var host = Substring(text)
        var port = defaultPort
        if host.first == "[" {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: end)...]
            if !rest.isEmpty {
                guard rest.first == ":", let number = UInt16(rest.dropFirst()) else { return nil }
                port = number
            }
            host = host[host.index(after: host.startIndex)..<end]
        } else if let colon = host.lastIndex(of: ":") {
            guard host.firstIndex(of: ":") == colon, let number = UInt16(host[host.index(after: colon)...]) else {
                return nil
            }
            port = number
            host = host[..<colon]
        }
        let plain = host.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "@") }
        guard let port, !host.isEmpty, host.utf8.count <= 255, plain else { return nil }
        self.init(host: String(host), port: port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not HOST:PORT")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A node as discovery saw it: a hint, until a connection to it says who it is.
package struct PeerSighting: Hashable, Sendable {
    /// The service's instance name, unique on the link.
    package let instance: String
    /// First 16 hex digits of the node id, as its TXT record claims.
    package let idPrefix: String
    package let role: Role?
    /// Boot id as claimed; another one with the same id is a restart or an impostor.
    package let boot: String?
    package let endpoints: [Endpoint]

    package init(instance: String, idPrefix: String, role: Role?, boot: String?, endpoints: [Endpoint]) {
        self.instance = instance
        self.idPrefix = idPrefix
        self.role = role
        self.boot = boot
        self.endpoints = endpoints
    }
}
