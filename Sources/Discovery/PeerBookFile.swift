internal import Model
package import Reactor

/// `peers.json` in one directory; the only one who writes it. Lives on a disk lane.
///
/// Losing the file costs a node nothing but the time to find its peers again: whatever is wrong with it, the node
/// starts.
package actor PeerBookFile {
    private let lane: DiskLane
    private let path: String
    private let log: Log

    package static let name = "peers.json"
    private static let incoming = "peers.json.new"
    private static let damaged = "peers.json.damaged"

    package nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    /// `path` is an existing directory.
    package init(lane: DiskLane, directory path: String, log: Log) {
        self.lane = lane
        self.path = path
        self.log = log
    }

    /// What the file holds; nothing where there is none. One that cannot be understood is set aside, with a warning.
    package func load() throws -> PeerBook {
        let directory = try Directory.open(path)
        guard let kind = try directory.kind(of: Self.name) else { return PeerBook() }
        if kind == .file, let book = try read(directory) { return book }
        try directory.rename(Self.name, to: directory, as: Self.damaged)
        try directory.synchronize()
        log.warning(
            "the list of known peers cannot be understood and was set aside", ("file", "\(path)/\(Self.damaged)"))
        return PeerBook()
    }

    private func read(_ directory: borrowing Directory) throws -> PeerBook? {
        let file = try directory.openFile(Self.name, .read)
        // One byte more than there may be tells that there is too much.
        return PeerBook(json: try file.read(count: Limits.peerBookBytes + 1, at: 0))
    }

    /// Replaces the file; durable when this returns, and either the old or the new one after a power cut.
    package func save(_ book: PeerBook) throws {
        let directory = try Directory.open(path)
        // A file that an earlier sync failed on is not used again.
        try directory.remove(Self.incoming)
        let file = try directory.openFile(Self.incoming, .createNew)
        try file.write(try book.json())
        try file.synchronize()
        try directory.rename(Self.incoming, to: directory, as: Self.name)
        try directory.synchronize()
    }
}
