package import Model

/// Where a connection comes from, as far as its transport tells: what authorisation decides by.
package struct PeerOrigin: Hashable, Sendable, CustomStringConvertible {
    package enum Transport: Hashable, Sendable {
        /// The socket in the data directory: file permissions have let the peer in.
        case unixSocket
        /// TCP from this machine.
        case loopback
        /// TCP from anywhere else.
        case network
    }

    package let transport: Transport
    /// The peer's address as text, IPv6 with its scope, an IPv4 peer of a dual-stack socket as IPv4; empty for a Unix
    /// socket.
    package let address: String
    package let port: UInt16
    /// Who the peer has proved to be; nil on a connection without TLS.
    package var node: NodeID?

    package init(transport: Transport, address: String, port: UInt16, node: NodeID? = nil) {
        self.transport = transport
        self.address = address
        self.port = port
        self.node = node
    }

    package static let unixSocket = PeerOrigin(transport: .unixSocket, address: "", port: 0)

    package var description: String {
        transport == .unixSocket ? "unix" : Endpoint(host: address, port: port).description
    }
}
