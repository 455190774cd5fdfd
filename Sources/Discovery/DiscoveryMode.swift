/// Which responder a node uses, as it was told (`--mdns`).
package enum DiscoveryMode: String, Hashable, Sendable, CaseIterable {
    /// The avahi-daemon where one answers on the system bus, else the embedded responder.
    case auto
    case daemon
    case embedded
    case off
}

/// Decides which responder is to be in use.
struct ResponderPolicy: Sendable {
    enum Choice: String, Hashable, Sendable {
        case daemon, embedded, none
    }

    enum Daemon: Hashable, Sendable {
        /// Not asked yet.
        case unknown
        case present
        case absent(String)
    }

    let mode: DiscoveryMode
    let interfaces: InterfaceChoice

    /// Whether to look for an avahi-daemon at all. Daemons do not serve the loopback alone, and Avahi has no call to
    /// ask which they do.
    var asksForDaemon: Bool {
        switch mode {
        case .auto: !interfaces.isLoopbackOnly
        case .daemon: true
        case .embedded, .off: false
        }
    }

    func choice(_ daemon: Daemon) -> (use: Choice, why: String) {
        switch (mode, daemon) {
        case (.off, _): (.none, "switched off")
        case (.embedded, _): (.embedded, "chosen")
        case (.daemon, .present): (.daemon, "chosen")
        case (.daemon, .absent(let reason)): (.none, reason)
        case (.auto, _) where !asksForDaemon: (.embedded, "a daemon does not serve the loopback alone")
        case (.auto, .present): (.daemon, "an avahi-daemon answers on the system bus")
        case (.auto, .absent(let reason)): (.embedded, reason)
        case (.auto, .unknown), (.daemon, .unknown): (.none, "asking for an avahi-daemon")
        }
    }
}

/// How discovery stands: what `status` shows.
package struct DiscoveryStatus: Hashable, Sendable {
    package enum Responder: String, Hashable, Sendable {
        case daemon, embedded, off
    }

    package var mode: DiscoveryMode
    package var responder = Responder.off
    /// Why this responder and no other.
    package var reason: String
    /// The service's name on the link, once it is announced; not the node's own where that was taken.
    package var announcedAs: String?
    /// The last fault, until something was announced anew.
    package var fault: String?
    /// Records that were not what they should be, and records beyond a limit.
    package var invalidRecords: Int64 = 0
    package var surplusRecords: Int64 = 0
}
