import Model
import Reactor
import Storage

/// What instruments printed and stores acknowledged: what must be found again.
final class Ledger: @unchecked Sendable {
    struct Session {
        let mission: String
        let author: Int
        let preambles: [StreamName: [UInt8]]
        /// Rows of each stream whose commit returned.
        var committed: [StreamName: Int64] = [:]
        /// The author's directory was emptied or put back since: rows may be gone with it.
        var isExcused = false
    }

    private(set) var sessions: [SessionID: Session] = [:]

    func begins(_ id: SessionID, mission: String, streams: [StreamDescription], by node: SimulatedNode) {
        let preambles = Dictionary(uniqueKeysWithValues: streams.map { ($0.name, $0.preamble) })
        sessions[id] = Session(mission: mission, author: node.number, preambles: preambles)
    }

    func committed(_ batch: RowBatch, by process: NodeProcess) {
        guard process.isAlive else { return }
        sessions[batch.session]?.committed[batch.stream, default: 0] += batch.rows
    }

    func excuse(_ node: SimulatedNode) {
        for (id, session) in sessions where session.author == node.number { sessions[id]?.isExcused = true }
    }

    // MARK: Rows

    /// A row that says whose it is, and ends in bytes that follow from that.
    static func row(
        _ session: SessionID, _ stream: StreamName, _ number: Int64, salt: Incarnation, size: Int
    ) -> [UInt8] {
        var row = Array("\(session) \(stream) \(number) \(salt) \(size) ".utf8)
        var random = Seeded(state: salt.word &+ UInt64(number) &* 7919)
        var word: UInt64 = 0
        row.reserveCapacity(row.count + size + 1)
        for position in 0..<size {
            if position % 8 == 0 { word = random.next() }
            row.append(97 + UInt8(truncatingIfNeeded: word >> UInt64(position % 8 * 8)) % 26)
        }
        row.append(UInt8(ascii: "\n"))
        return row
    }

    /// Row numbers of a chunk's bytes, in order; nil where they are not what was printed.
    func rows(of bytes: [UInt8], _ session: SessionID, _ stream: StreamName) -> [Int64]? {
        guard let preamble = sessions[session]?.preambles[stream], bytes.starts(with: preamble) else { return nil }
        var numbers: [Int64] = []
        for line in bytes[preamble.count...].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .dropLast()
        {
            let words = line.prefix(140).split(separator: UInt8(ascii: " ")).prefix(5).map {
                String(decoding: $0, as: UTF8.self)
            }
            guard words.count == 5, let number = Int64(words[2]), let salt = Incarnation(words[3]),
                let size = Int(words[4]), size <= 200_000,
                line.elementsEqual(Self.row(session, stream, number, salt: salt, size: size).dropLast())
            else { return nil }
            numbers.append(number)
        }
        return bytes.count == preamble.count || bytes.last == UInt8(ascii: "\n") ? numbers : nil
    }
}
