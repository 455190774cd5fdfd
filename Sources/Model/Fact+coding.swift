extension Fact: Codable {
    private enum CodingKeys: String, CodingKey {
        case author, incarnation, n, kind, session, at
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let n = try container.decode(Int64.self, forKey: .n)
        guard FactName.numbers.contains(n) else {
            throw DecodingError.dataCorruptedError(
                forKey: .n, in: container, debugDescription: "facts count from 1 to 2^53")
        }
        name = FactName(
            author: try container.decode(NodeID.self, forKey: .author),
            incarnation: try container.decode(Incarnation.self, forKey: .incarnation), n: n)
        session = try container.decodeIfPresent(SessionID.self, forKey: .session)
        at = try container.decode(ClockReading.self, forKey: .at)
        body = try Body(kind: try container.decode(String.self, forKey: .kind), session: session, from: decoder)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name.author, forKey: .author)
        try container.encode(name.incarnation, forKey: .incarnation)
        try container.encode(name.n, forKey: .n)
        try container.encode(body.kind, forKey: .kind)
        try container.encodeIfPresent(session, forKey: .session)
        try container.encode(at, forKey: .at)
        try body.encodeFields(to: encoder)
    }
}

extension Fact.Body {
    fileprivate init(kind: String, session: SessionID?, from decoder: any Decoder) throws {
        switch kind {
        case "session": self = .session(try SessionOpening(from: decoder))
        case "chunk": self = .chunk(try ChunkFact(from: decoder).checked(at: decoder))
        case "end": self = .end(try SessionEnd(from: decoder))
        case "gap": self = .gap(try Gap(from: decoder))
        case "clock": self = .clock(try ClockStep(from: decoder))
        case "marker": self = .marker(try Marker(from: decoder))
        case "config": self = .config(try ConfigurationChange(from: decoder))
        case "lost": self = .lost(try ChunkState(from: decoder))
        case "held": self = .held(try ChunkState(from: decoder))
        case "removed": self = .removed(try ChunkState(from: decoder))
        default: self = .unknown(kind: kind)
        }
        let needsSession =
            switch self {
            case .session, .chunk, .end: true
            default: false
            }
        guard session != nil || !needsSession else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: decoder.codingPath, debugDescription: "a \(kind) fact names its session"))
        }
    }

    fileprivate func encodeFields(to encoder: any Encoder) throws {
        switch self {
        case .session(let fields): try fields.encode(to: encoder)
        case .chunk(let fields): try fields.encode(to: encoder)
        case .end(let fields): try fields.encode(to: encoder)
        case .gap(let fields): try fields.encode(to: encoder)
        case .clock(let fields): try fields.encode(to: encoder)
        case .marker(let fields): try fields.encode(to: encoder)
        case .config(let fields): try fields.encode(to: encoder)
        case .lost(let fields), .held(let fields), .removed(let fields): try fields.encode(to: encoder)
        case .unknown: break
        }
    }
}

extension ChunkFact {
    /// Numbers from outside are in range before anything reckons with them.
    fileprivate func checked(at decoder: any Decoder) throws -> Self {
        let indices: ClosedRange<Int64> = 0...(1 << 40)
        guard indices.contains(index), (0...Limits.chunkBytes).contains(bytes), (0...bytes).contains(rows),
            (0...(1 << 53)).contains(firstRow)
        else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: decoder.codingPath, debugDescription: "a chunk's numbers are out of range"))
        }
        return self
    }
}
