package import Model

/// What a node tells the link about itself.
package struct Advertisement: Hashable, Sendable {
    /// The service's instance name: valid for DNS-SD, whatever was given.
    package let name: String
    /// First 16 hex digits of the node id.
    package let idPrefix: String
    package let role: Role
    package let bootID: BootID
    package let port: UInt16

    package static let serviceType = "_qnode._tcp"

    package init(name: String, idPrefix: String, role: Role, bootID: BootID, port: UInt16) {
        self.name = Self.instanceName(from: name, otherwise: "qnode-\(idPrefix)")
        self.idPrefix = idPrefix
        self.role = role
        self.bootID = bootID
        self.port = port
    }

    package var text: [String] {
        ["id=\(idPrefix)", "role=\(role.rawValue)", "boot=\(bootID)", "v=\(ServiceText.version)"]
    }

    /// A host name of the embedded responder's own, so that it never contends with an avahi-daemon or another node on
    /// this host.
    package var hostName: String { "qnode-\(idPrefix)" }

    /// At most 63 bytes of UTF-8 without control characters, as RFC 6763 has it.
    static func instanceName(from name: String, otherwise: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars where scalar.value >= 32 && scalar.value != 127 {
            guard text.utf8.count + String(scalar).utf8.count <= 63 else { break }
            text.unicodeScalars.append(scalar)
        }
        return text.isEmpty ? otherwise : text
    }
}
