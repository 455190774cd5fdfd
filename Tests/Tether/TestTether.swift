import Glibc

/// A tether between two network namespaces, for tests: `test-tether <namespace> <namespace> <interface>`. Makes an
/// interface of that name in each and carries frames between them until its standard input ends; commands come there.
@main
enum TestTether {
    static func main() {
        guard CommandLine.arguments.count == 4 else {
            print("usage: test-tether <namespace a> <namespace b> <interface>")
            exit(2)
        }
        do {
            var wire = try TetherWire(
                spaceA: "/run/netns/\(CommandLine.arguments[1])", spaceB: "/run/netns/\(CommandLine.arguments[2])",
                name: CommandLine.arguments[3])
            print("ready")
            fflush(nil)
            try wire.run()
        } catch {
            print("test-tether: \(error)")
            exit(1)
        }
    }
}

/// Standard input, line by line.
struct CommandInput {
    private var partial: [UInt8] = []

    /// The whole lines that are there; nil at the end.
    mutating func lines() -> [Substring]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(0, &buffer, buffer.count)
        guard count > 0 else { return nil }
        partial += buffer[..<count]
        guard let end = partial.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        let text = String(decoding: partial[..<end], as: UTF8.self)
        partial.removeSubrange(...end)
        return text.split(separator: "\n")
    }
}

extension TetherDirection.Counts {
    /// ` name=value` of each.
    var text: String {
        " taken_frames=\(takenFrames) taken_bytes=\(takenBytes) delivered_frames=\(deliveredFrames)"
            + " delivered_bytes=\(deliveredBytes) lost=\(lostFrames) overflow=\(overflowFrames) cut=\(cutFrames)"
            + " duplicated=\(duplicatedFrames) refused=\(refusedFrames) unplaced=\(unplacedFrames)"
    }
}
