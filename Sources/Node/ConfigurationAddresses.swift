internal import Model

extension ValueForm where Value == Endpoint {
    /// Where a peer listens: a name or an address; the usual port where none is given.
    static let peer = ValueForm("HOST:PORT") { text throws(ValueError) in
        guard let endpoint = endpoint(text, defaultPort: NodeConfiguration.defaultPort), endpoint.port > 0 else {
            throw ValueError(
                "\(text.quotedForMessage) is not HOST:PORT; write for example 192.168.2.2:9150 or [fe80::1%eth0]:9150")
        }
        return endpoint
    }

    /// Where this node listens: an address of this machine; port 0 takes any that is free.
    static let listen = ValueForm("ADDR:PORT") { text throws(ValueError) in
        guard let endpoint = endpoint(text, defaultPort: nil), AddressLiteral.isAddress(endpoint.host) else {
            throw ValueError("\(text.quotedForMessage) is not ADDR:PORT; write for example [::]:9150 or 127.0.0.1:9150")
        }
        return endpoint
    }
}

extension ValueForm where Value == SerialChoice {
    static let serial = ValueForm(
        "auto|off|PATH[@BAUD]", completion: .files
    ) { text throws(ValueError) in
        if text == "off" { return .off }
        if text == "auto" { return .auto(baud: nil) }
        if text.hasPrefix("auto@") { return .auto(baud: try SerialDevice.baud(text.dropFirst("auto@".count))) }
        return .device(try SerialDevice(text, orWords: ["auto", "off"]))
    }
}

extension ValueForm where Value == LinesOrigin {
    static let lines = ValueForm(
        "PATH[@BAUD]|tcp://HOST:PORT|udp://ADDR:PORT", completion: .files
    ) { text throws(ValueError) in
        if text.hasPrefix("tcp://") {
            guard let endpoint = endpoint(text.dropFirst(6), defaultPort: nil), endpoint.port > 0 else {
                throw ValueError(
                    "\(text.quotedForMessage) is not tcp://HOST:PORT; write for example tcp://10.0.0.5:4001")
            }
            return .tcp(endpoint)
        }
        if text.hasPrefix("udp://") {
            let endpoint = endpoint(text.dropFirst(6), defaultPort: nil)
            guard let endpoint, endpoint.port > 0, AddressLiteral.isAddress(endpoint.host) else {
                throw ValueError(
                    "\(text.quotedForMessage) is not udp://ADDR:PORT; write for example udp://0.0.0.0:10110")
            }
            return .udp(endpoint)
        }
        guard !text.contains("://") else {
            throw ValueError("\(text.quotedForMessage) is neither a path nor tcp://HOST:PORT nor udp://ADDR:PORT")
        }
        return .device(try SerialDevice(text, orWords: []))
    }
}

extension SerialDevice {
    /// What termios(3) has names for on Linux.
    static let baudRates = [
        50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400,
        460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000,
        4_000_000,
    ]

    static func baud(_ text: some StringProtocol) throws(ValueError) -> Int {
        guard let baud = decimal(text), baudRates.contains(baud) else {
            throw ValueError("\(String(text).quotedForMessage) is not a baud rate; write for example 9600 or 115200")
        }
        return baud
    }

    /// `PATH[@BAUD]`. What follows the last `@` is a baud rate unless it holds a slash: a folder's name may have an
    /// `@`.
    fileprivate init(_ text: String, orWords words: [String]) throws(ValueError) {
        var path = text[...]
        var baud: Int?
        if let at = text.lastIndex(of: "@"), !text[at...].contains("/") {
            baud = try Self.baud(text[text.index(after: at)...])
            path = text[..<at]
        }
        // A bare word is a misspelt `auto` far more often than a device in the working directory.
        guard path.contains("/") else {
            let near = Suggestion.nearest(to: String(path), among: words).map { "; did you mean \($0)?" }
            throw ValueError(
                "\(text.quotedForMessage) is not a device's path\(near ?? "; write for example /dev/ttyUSB0@9600")")
        }
        self.init(path: try ValueForm.path("PATH", completion: .files).read(String(path)), baud: baud)
    }
}

/// `HOST:PORT` whose port is digits alone.
private func endpoint(_ text: some StringProtocol, defaultPort: UInt16?) -> Endpoint? {
    let reversed = Array(text.utf8.reversed())
    let tail = reversed.prefix { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "]") }
    let hasPort = reversed.contains(UInt8(ascii: ":")) && reversed.first != UInt8(ascii: "]")
    guard !hasPort || (!tail.isEmpty && tail.allSatisfy { (48...57).contains($0) }) else { return nil }
    return Endpoint(text, defaultPort: defaultPort)
}

/// Tells IP addresses from host names (RFC 4291 text forms, with a scope).
enum AddressLiteral {
    static func isAddress(_ text: String) -> Bool { isVersion4(text[...]) || isVersion6(text) }

    private static func isVersion4(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                part.utf8.count <= 3 && decimal(part).map { $0 <= 255 } == true && (part == "0" || part.first != "0")
            }
    }

    private static func isVersion6(_ text: String) -> Bool {
        let scoped = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = scoped.first, scoped.count == 1 || !scoped[1].isEmpty else { return false }
        guard let gap = address.firstRange(of: "::") else { return groups(address) == 8 }
        let (head, tail) = (address[..<gap.lowerBound], address[gap.upperBound...])
        guard let before = head.isEmpty ? 0 : groups(head, mayEndInVersion4: false),
            let after = tail.isEmpty ? 0 : groups(tail)
        else { return false }
        return before + after <= 7
    }

    /// How many groups of 16 bits the text spells, or nil where it is malformed.
    private static func groups(_ text: Substring, mayEndInVersion4: Bool = true) -> Int? {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var count = 0
        if mayEndInVersion4, let last = parts.last, isVersion4(last) {
            parts.removeLast()
            count = 2
        }
        let hexadecimal = parts.allSatisfy { part in
            (1...4).contains(part.utf8.count) && part.allSatisfy { $0.isASCII && $0.isHexDigit }
        }
        return hexadecimal ? count + parts.count : nil
    }
}
