internal import CAvahi

/// What both of Avahi's libraries share: constants that are macros or anonymous enums, and values in their forms.
enum Avahi {
    static let everyInterface = AvahiIfIndex(-1)
    static let everyProtocol = AvahiProtocol(-1)
    static let classIN: UInt16 = 1
    static let noPublishFlags = AvahiPublishFlags(rawValue: 0)
    /// Nothing that is looked for is anywhere but on the link: a name from the link must not become a query to a name
    /// server.
    static let onLink = AVAHI_LOOKUP_USE_MULTICAST

    static func reason(_ code: Int32) -> String {
        guard let text = avahi_strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }

    static func link(_ interface: AvahiIfIndex, _ proto: AvahiProtocol) -> Link {
        Link(interface: interface, overIPv6: proto == 1)
    }

    /// "name" → "name #2".
    static func alternative(toService name: String) -> String { taken(avahi_alternative_service_name(name)) ?? name }
    /// "name" → "name-2".
    static func alternative(toHost name: String) -> String { taken(avahi_alternative_host_name(name)) ?? name }

    private static func taken(_ text: UnsafeMutablePointer<CChar>?) -> String? {
        guard let text else { return nil }
        defer { avahi_free(text) }
        return String(cString: text)
    }

    /// Calls `body` with the strings in Avahi's form.
    static func withList<Result>(
        _ strings: some Sequence<String>, _ body: (UnsafeMutablePointer<AvahiStringList>?) -> Result
    ) -> Result {
        let list = list(strings)
        defer { avahi_string_list_free(list) }
        return body(list)
    }

    /// The strings in Avahi's form, for somebody who frees them.
    static func list(_ strings: some Sequence<String>) -> UnsafeMutablePointer<AvahiStringList>? {
        // Avahi keeps its lists last string first.
        strings.reduce(nil) { avahi_string_list_add($0, $1) }
    }
}
