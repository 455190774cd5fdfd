package import HTTP
internal import Model
package import Reactor

/// What limits a node's traffic with its peers; both change while it runs.
package struct NodeCaps: Sendable {
    /// What arrives from all peers together.
    package let pull: ReadPacer
    /// What bodies of chunks send to everybody together.
    package let serve: SendPacer

    /// Bytes a second; nil: no cap.
    package init(on loop: EventLoop, pull: Int64? = nil, serve: Int64? = nil) {
        self.pull = ReadPacer(on: loop, cap: pull)
        self.serve = SendPacer(on: loop, cap: serve)
    }

    var form: CapsForm {
        get async {
            let pulled = await pull.status()
            return CapsForm(
                pullBytesPerS: pulled.cap, serveBytesPerS: serve.cap, receivedBytesPerS: pulled.bytesPerSecond)
        }
    }

    /// `PUT /v1/settings/{name}`: until the node ends.
    func set(_ name: String, _ form: CapForm) async throws(CallError) {
        if let bytes = form.bytesPerS, !Limits.cap.contains(bytes) {
            throw .invalid(
                "bytes_per_s is \(Limits.cap.lowerBound) to \(Limits.cap.upperBound), or null for no cap")
        }
        switch name {
        case "cap": await pull.setCap(form.bytesPerS)
        case "serve-cap": await serve.setCap(form.bytesPerS)
        default: throw .notFound("only cap and serve-cap can be changed while a node runs")
        }
    }
}

/// The caps in `status`; left out where there is none.
package struct CapsForm: Codable, Sendable {
    package let pullBytesPerS: Int64?
    package let serveBytesPerS: Int64?
    /// Ethernet bytes from all peers, over the last seconds, while there is a cap.
    package let receivedBytesPerS: Int64?

    enum CodingKeys: String, CodingKey {
        case pullBytesPerS = "pull_bytes_per_s"
        case serveBytesPerS = "serve_bytes_per_s"
        case receivedBytesPerS = "received_bytes_per_s"
    }
}

/// The body of `PUT /v1/settings/{name}`.
package struct CapForm: Codable, Sendable {
    /// null: no cap.
    package let bytesPerS: Int64?

    package init(bytesPerS: Int64?) { self.bytesPerS = bytesPerS }

    /// What is left out by mistake is not taken for "no cap".
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard container.contains(.bytesPerS) else {
            throw DecodingError.keyNotFound(
                CodingKeys.bytesPerS, .init(codingPath: decoder.codingPath, debugDescription: "no bytes_per_s"))
        }
        bytesPerS = try container.decodeIfPresent(Int64.self, forKey: .bytesPerS)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(bytesPerS, forKey: .bytesPerS)
    }

    enum CodingKeys: String, CodingKey { case bytesPerS = "bytes_per_s" }
}
