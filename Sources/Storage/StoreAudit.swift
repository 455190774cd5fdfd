package import Model
package import Reactor

/// Reads a whole data directory and compares everything in it with everything else. Changes nothing and needs no lock,
/// so it may run beside a node.
package actor StoreAudit {
    package struct Finding: Hashable, Sendable {
        package enum Kind: String, Sendable, CaseIterable {
            /// A chunk's bytes do not have its digest.
            case damagedChunk = "damaged_chunk"
            /// A chunk fact of the log without its file.
            case missingChunk = "missing_chunk"
            case wrongLength = "wrong_length"
            /// A file under `chunks/` that no fact names: kept, adopted when its fact arrives.
            case chunkWithoutFact = "chunk_without_fact"
            case strangeFile = "strange_file"
            case damagedLine = "damaged_line"
            /// Its bytes are gone or were wrong, and the node knows.
            case lostChunk = "lost_chunk"
            /// The index does not say what the log says.
            case staleIndex = "stale_index"
            /// The write-ahead log has bad records with good ones behind them.
            case damagedJournal = "damaged_journal"
            /// The file of an open chunk or of a live copy does not have what the write-ahead log says it has.
            case damagedOpenChunk = "damaged_open_chunk"
            /// A name in the folder for people leads to something else than the chunk that counts there.
            case misshown
            /// A manifest that says something else than the log.
            case wrongManifest = "wrong_manifest"
            case inQuarantine = "in_quarantine"
        }
        package let kind: Kind
        package let subject: String
        package let detail: String

        /// What may stand in a sound directory.
        package var isHarmless: Bool { kind == .chunkWithoutFact || kind == .inQuarantine }
    }

    package struct Report: Hashable, Sendable {
        package var chunks: Int64 = 0
        package var bytes: Int64 = 0
        package var facts: Int64 = 0
        package var sessions: Int64 = 0
        package var findings: [Finding] = []
        package var isSound: Bool { findings.allSatisfy(\.isHarmless) }
    }

    package struct Progress: Hashable, Sendable {
        package let doneBytes: Int64
        package let totalBytes: Int64
    }

    private let lane: DiskLane
    let path: String
    /// Whose word counts of what is lost here; nil where it is not known.
    let node: NodeID?
    private let progress: @Sendable (Progress) -> Void
    private var report = Report()
    /// Digests that the node says it lost.
    private var lost: Set<ChunkID> = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    package init(
        of path: String, node: NodeID? = nil, on lane: DiskLane,
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.lane = lane
        self.path = path
        self.node = node
        self.progress = progress
    }

    package func run() throws(StoreError) -> Report {
        do {
            let root = try Directory.open(path)
            guard try root.kind(of: "lock") == .file else {
                throw StoreError.notWritable(path: path, reason: "it is no data directory of qnode")
            }
            let files = try listChunks(root)
            let claims = try readLog(root)
            try readChunks(root, files, claims)
            try checkJournal(root)
            try checkOpen(root)
            try checkDerived(root)
            for name in try names(in: "quarantine", of: root) {
                add(.inQuarantine, name, "set aside earlier; delete it when it is of no more use")
            }
            return report
        } catch let error as SyscallError {
            throw error.isNotFound
                ? .notWritable(path: path, reason: "it is no data directory of qnode")
                : DataDirectory.explain(error, path: path)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("an audit fails with a system call: \(error)")
        }
    }

    func add(_ kind: Finding.Kind, _ subject: String, _ detail: String) {
        report.findings.append(Finding(kind: kind, subject: subject, detail: detail))
    }

    func names(in folder: String, of root: borrowing Directory) throws -> [String] {
        guard try root.kind(of: folder) == .directory else { return [] }
        return try root.openDirectory(folder).names()
    }

    // MARK: Chunks

    /// Chunk files with their lengths. Listed before the log is read: what is there now has its fact by then.
    private func listChunks(_ root: borrowing Directory) throws -> [ChunkID: Int64] {
        var files: [ChunkID: Int64] = [:]
        guard try root.kind(of: "chunks") == .directory else { return files }
        let chunks = try root.openDirectory("chunks")
        for prefix in try chunks.names() {
            guard try chunks.kind(of: prefix) == .directory else {
                add(.strangeFile, "chunks/\(prefix)", "it is no folder of chunks")
                continue
            }
            let folder = try chunks.openDirectory(prefix)
            for name in try folder.names() {
                guard let id = ChunkID(name), name.hasPrefix(prefix), let length = try folder.length(of: name) else {
                    add(.strangeFile, "chunks/\(prefix)/\(name)", "its name is no digest of this folder")
                    continue
                }
                files[id] = length
            }
        }
        return files
    }

    private func readChunks(
        _ root: borrowing Directory, _ files: [ChunkID: Int64], _ claims: [ChunkID: Int64]
    ) throws {
        let total = files.values.reduce(0, +)
        for (id, bytes) in claims where files[id] == nil {
            let prefix = String(id.description.prefix(2))
            let chunks = try root.openDirectory("chunks")
            let isThere =
                try chunks.kind(of: prefix) == .directory
                && (try chunks.openDirectory(prefix).kind(of: id.description)) == .file
            guard !isThere else { continue }
            if lost.contains(id) {
                add(.lostChunk, id.description, "the node knows; it takes it back from a peer that has it")
            } else {
                add(.missingChunk, id.description, "the log says it is held; \(bytes) bytes are gone")
            }
        }
        for (id, length) in files.sorted(by: { $0.key < $1.key }) {
            let file = try root.openDirectory("chunks").openDirectory(String(id.description.prefix(2)))
                .openFile(id.description, .read)
            let found = try digest(of: file, total: total)
            report.chunks += 1
            if found != id { add(.damagedChunk, id.description, "its bytes have the digest \(found)") }
            if let claimed = claims[id] {
                if claimed != length { add(.wrongLength, id.description, "\(length) bytes, its fact says \(claimed)") }
            } else {
                add(.chunkWithoutFact, id.description, "it is adopted when its fact arrives")
            }
        }
    }

    private func digest(of file: borrowing Descriptor, total: Int64) throws -> ChunkID {
        // What the kernel remembers says nothing about the disk.
        file.forgetCache()
        return try ChunkDigester.digest(of: file) { count in
            report.bytes += Int64(count)
            progress(Progress(doneBytes: report.bytes, totalBytes: total))
        }
    }

    // MARK: Log and index

    /// The chunks that the log says are held, with their lengths.
    private func readLog(_ root: borrowing Directory) throws -> [ChunkID: Int64] {
        var claims: [ChunkID: Int64] = [:]
        var names = Holdings()
        guard try root.kind(of: "log") == .directory else { return claims }
        let folder = try root.openDirectory("log")
        let segments = try folder.names().filter { $0.hasSuffix(".jsonl") }
        for name in segments {
            let file = SharedFile(try folder.openFile(name, .read))
            var lines = FactLines(file: file)
            while let line = try lines.next() {
                let isLast = name == segments.last && line.isUnfinished
                guard let bytes = line.fact, let recorded = RecordedFact(parsing: bytes) else {
                    // The last line of a running node may be half written.
                    if !isLast { add(.damagedLine, "log/\(name)", "the line at byte \(line.offset) is damaged") }
                    continue
                }
                guard !names.contains(recorded.fact.name) else { continue }
                names.insert(recorded.fact.name)
                report.facts += 1
                switch recorded.fact.body {
                case .chunk(let chunk): claims[chunk.sha256] = chunk.bytes
                case .session: report.sessions += 1
                case .lost(let state) where recorded.fact.name.author == node:
                    if let id = state.sha256 { lost.insert(id) }
                case .held(let state) where recorded.fact.name.author == node:
                    if let id = state.sha256 { lost.remove(id) }
                default: break
                }
            }
        }
        return claims
    }

    private func checkJournal(_ root: borrowing Directory) throws {
        guard try root.kind(of: "wal") == .directory else { return }
        let folder = try root.openDirectory("wal")
        for number in try WriteAheadLog.segments(in: folder) {
            let reading: WriteAheadLog.Reading
            do throws(SyscallError) {
                reading = try WriteAheadLog.read(number, in: folder)
            } catch {
                // A running node removes what it needs no more.
                guard error.isNotFound else { throw error }
                continue
            }
            for stretch in reading.damaged {
                add(
                    .damagedJournal, "wal/\(WriteAheadLog.name(number))",
                    "bytes \(stretch.lowerBound) to "
                        + "\(stretch.upperBound) are no records; the next start keeps what is good")
            }
        }
    }
}
