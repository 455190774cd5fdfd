internal import FoundationEssentials
internal import HTTP
internal import Model
internal import Replication
internal import Timekeeping

/// JSON as it goes over the wire: snake_case keys, sorted. Tables: `Docs/Protocol.md`.
package enum WireJSON {
    package static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            preconditionFailure("the wire's own forms are all expressible in JSON: \(error)")
        }
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}

/// `GET /v1/node`.
struct NodeForm: Codable {
    let id: NodeID
    let name: String
    let role: Role
    let version: String
    let epoch: Incarnation
    let head: Int64
    let capabilities: [String]

    /// What a peer says of itself, its name cut to a length that people can read.
    var greeting: PeerGreeting {
        PeerGreeting(
            id: id, name: String(name.prefix(Limits.nameCharacters)), role: role,
            version: String(version.prefix(Limits.nameCharacters)), epoch: epoch, head: max(0, head),
            capabilities: Set(capabilities.prefix(Limits.capabilities)))
    }
}

/// `GET /v1/have`.
struct HaveForm: Codable {
    let head: Int64
    let epoch: Incarnation?
    let authors: Holdings
}

/// `POST /v1/have`: who speaks, and what that node holds.
struct StatementForm: Codable {
    let node: NodeID
    /// For people, as `GET /v1/node` says them; an older node does not.
    let name: String?
    let role: String?
    let epoch: Incarnation
    let head: Int64
    /// False where only incarnations that changed are listed.
    let whole: Bool
    let authors: Holdings

    /// The name as people may read it: cut to a length.
    var speaker: (name: String?, role: Role?) {
        (name.map { String($0.prefix(Limits.nameCharacters)) }, role.flatMap(Role.init(rawValue:)))
    }

    var statement: HoldingsStatement {
        HoldingsStatement(epoch: epoch, head: head, isWhole: whole, holdings: authors)
    }
}

/// The answer to `POST /v1/have`.
struct StatementAnswerForm: Codable {
    let needsWhole: Bool

    enum CodingKeys: String, CodingKey {
        case needsWhole = "needs_whole"
    }
}

/// The body of `POST /v1/facts`.
struct FactsForm: Codable {
    let authors: Holdings
}

/// The first event of a stream: `hello`.
struct HelloForm: Codable {
    let epoch: Incarnation
    let head: Int64
}

/// The bell of an open chunk: `tail`.
struct TailForm: Codable {
    /// The session's; an older node does not say.
    var author: NodeID?
    let session: SessionID
    let stream: StreamName
    let index: Int64
    let length: Int64
}

/// `GET /v1/clock`: the second and third timestamps of an exchange.
struct ClockForm: Codable {
    struct Sample: Codable {
        let raw: DecimalInt64
        let realtime: DecimalInt64
        let boottime: DecimalInt64
        let uncertainty: DecimalInt64

        init(_ sample: ClockSample) {
            raw = DecimalInt64(sample.raw)
            realtime = DecimalInt64(sample.realtime)
            boottime = DecimalInt64(sample.boottime)
            uncertainty = DecimalInt64(sample.uncertainty)
        }

        var sample: ClockSample {
            ClockSample(
                raw: raw.value, realtime: realtime.value, boottime: boottime.value, uncertainty: uncertainty.value)
        }
    }

    let received: Sample
    let sent: Sample
    let bootID: BootID

    enum CodingKeys: String, CodingKey {
        case received, sent
        case bootID = "boot_id"
    }

    var answer: ClockAnswer { ClockAnswer(received: received.sample, sent: sent.sample, bootID: bootID) }
}

/// Every error's body.
struct ErrorForm: Codable {
    let detail: String
    let errorCode: String
    let timestamp: String

    enum CodingKeys: String, CodingKey {
        case detail, timestamp
        case errorCode = "error_code"
    }
}

/// Names of headers that only nodes use.
enum QnodeHeader {
    /// `true` where a `POST /v1/facts` would have more to say.
    static let more = "Qnode-More"
}
