import Glibc

/// One thing that reads bytes from outside, and what must hold for whatever it is given.
struct Harness: Sendable {
    let name: String
    let run: @Sendable (inout FuzzBytes) -> Void

    static let all = [
        Harness(name: "wal", run: fuzzWriteAheadLog),
        Harness(name: "facts", run: fuzzFacts),
        Harness(name: "sensor", run: fuzzSensorLines),
        Harness(name: "http", run: fuzzHTTP),
        Harness(name: "events", run: fuzzEventStream),
    ]

    /// Named by the environment: all fuzzers are one program, which is built and linked once.
    static let chosen: Harness = {
        let name = getenv("QNODE_FUZZ").map { String(cString: $0) } ?? ""
        guard let harness = all.first(where: { $0.name == name }) else {
            fatalError("QNODE_FUZZ names one of \(all.map(\.name).joined(separator: ", "))")
        }
        return harness
    }()
}

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var bytes = FuzzBytes(Array(UnsafeBufferPointer(start: start, count: count)))
    Harness.chosen.run(&bytes)
    return 0
}

/// A property that must hold; what does not is a crash, which libFuzzer reports with its input.
func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
    if !holds { fatalError(what()) }
}

/// An input that is taken apart from its front: choices first, the bytes under test last.
struct FuzzBytes {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    /// 0 beyond the end.
    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func int64() -> Int64 { (0..<8).reduce(0) { word, _ in word << 8 | Int64(byte()) } }

    /// As many as are there, of `count`.
    mutating func take(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, position + count)
        defer { position = end }
        return Array(bytes[position..<end])
    }

    mutating func rest() -> [UInt8] { take(bytes.count) }
}

/// `bytes` in two or three pieces, cut where `choice` says.
func pieces(of bytes: [UInt8], cutBy choice: UInt8) -> [[UInt8]] {
    guard !bytes.isEmpty else { return [] }
    let first = (Int(choice) * (bytes.count + 1)) >> 8
    let second = choice & 1 == 0 ? bytes.count : first + (bytes.count - first) / 2
    return [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])].filter { !$0.isEmpty }
}
