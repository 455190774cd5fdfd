package import Model

/// Whether this node records, as a person or a setting wished: set by a start, cleared by a stop, nothing else.
package struct RecordingWish: Hashable, Sendable, Codable {
    package var mission: String
    /// Somebody pressed a button; an automatic recording gives way to it.
    package var explicit: Bool
    package var recordingID: UniqueID?
    package var metadata: [String: JSONValue]

    package init(
        mission: String, explicit: Bool, recordingID: UniqueID? = nil, metadata: [String: JSONValue] = [:]
    ) {
        self.mission = mission
        self.explicit = explicit
        self.recordingID = recordingID
        self.metadata = metadata
    }

    private enum CodingKeys: String, CodingKey {
        case mission, explicit, metadata
        case recordingID = "recording_id"
    }
}

/// `recording.json`: the wish, or the boot in which a stop cleared it.
struct RecordingFile: Hashable, Codable {
    var wish: RecordingWish?
    var stoppedInBoot: BootID?

    enum CodingKeys: String, CodingKey {
        case wish
        case stoppedInBoot = "stopped_in_boot"
    }
}
