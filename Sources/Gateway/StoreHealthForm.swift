internal import Model
package import Storage

/// How a node's store is: `store.health` in `status`, and the data of a `status` event.
package struct StoreHealthForm: Codable, Sendable {
    package struct Incident: Codable, Sendable {
        package let at: String
        package let kind: String
        package let text: String
    }

    /// `ample`, `low` or `full`; nil where no room is kept.
    package let disk: String?
    package let freeBytes: Int64?
    package let minFreeBytes: Int64?
    /// The file that pays for the facts of a full disk: `held`, `spent`, or `none` where there never was room for it.
    package let reserve: String?
    /// What is wrong now and what to do about it, one sentence each.
    package let troubles: [String]
    /// How often each kind of incident was told since the start.
    package let incidents: [String: Int64]
    /// The last of them, the newest last.
    package let latest: [Incident]

    package init(_ health: StoreHealth) {
        disk = health.space?.level.rawValue
        freeBytes = health.space?.free
        minFreeBytes = health.space?.minFree
        reserve = health.space?.reserve.rawValue
        troubles = health.troubles
        incidents = Dictionary(uniqueKeysWithValues: health.counts.map { ($0.key.rawValue, $0.value) })
        latest = health.latest.map { Incident(at: Timestamp.text($0.at), kind: $0.kind.rawValue, text: $0.text) }
    }

    enum CodingKeys: String, CodingKey {
        case disk, reserve, troubles, incidents, latest
        case freeBytes = "free_bytes"
        case minFreeBytes = "min_free_bytes"
    }
}

/// The data of a `status` event: what changed of the node's state that is no fact.
package struct StatusEventForm: Codable, Sendable {
    package let store: StoreHealthForm
    /// As in `GET /v1/status`; nil before any peer was looked at.
    package let peers: [PeerForm]?
}
