internal import Model
internal import Reactor

/// Reads chunks and log again and again, slowly, so that rot is noticed while a peer still has the right bytes. On the
/// lane for reading; what it finds the catalogue decides about.
actor Scrubber {
    private let lane: DiskLane
    private let directory: DataDirectory
    private let catalogue: Catalogue
    private let log: Log
    private let now: @Sendable () -> ClockReading
    private var reading: Reading?
    /// What was last said of a scrub that cannot go on.
    private var trouble: StoreError?
    /// Chunks that somebody missed: they come first.
    private var suspects: [ChunkID] = []
    private var logPass: LogPass?
    private var nextLogPass = MonotonicTime(nanoseconds: 0)

    /// How far the log was read in this pass.
    private struct LogPass {
        var segment: Int64 = 1
        var offset: Int64 = 0
    }

    /// What was read since the last pause, and what that took.
    private struct Stretch {
        var bytes: Int64 = 0
        var chunks = 0
        let began = SystemClock.monotonic()
        let processorBegan = SystemClock.threadTime()

        var isFull: Bool { bytes >= Limits.scrubStretchBytes || chunks >= Limits.scrubStretchChunks }

        /// So long that neither the disk nor the processor is asked for more than the scrub may have.
        func pause(now: MonotonicTime, processor: Int64) -> Duration {
            let forBytes = Double(bytes) / Double(Limits.scrubBytesPerSecond)
            let forProcessor = Double(processor - processorBegan) / 1e9 / Limits.scrubCoreShare
            return .seconds(max(forBytes, forProcessor)) - began.duration(to: now)
        }
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(
        lane: DiskLane, directory: DataDirectory, catalogue: Catalogue, log: Log,
        now: @escaping @Sendable () -> ClockReading
    ) {
        self.log = log
        self.lane = lane
        self.directory = directory
        self.catalogue = catalogue
        self.now = now
    }

    func suspect(_ id: ChunkID) {
        if suspects.count < Limits.suspects, !suspects.contains(id) { suspects.append(id) }
    }

    /// The log is read from its beginning, whenever the last pass was.
    func suspectLog() { logPass = LogPass() }

    // MARK: For ever

    func run(_ pause: @Sendable (Duration) async throws -> Void) async throws {
        while true {
            try Task.checkCancellation()
            guard let stretch = await work(), stretch.isFull else {
                try await pause(Limits.scrubLookInterval)
                continue
            }
            try await pause(stretch.pause(now: SystemClock.monotonic(), processor: SystemClock.threadTime()))
        }
    }

    /// One stretch; nil where the disk or the index are in trouble.
    private func work() async -> Stretch? {
        do throws(StoreError) {
            var stretch = Stretch()
            while let id = suspects.popLast() {
                _ = try await catalogue.condemn(id)
                stretch.chunks += 1
            }
            try await catalogue.findLost()
            let old = now().realtime - Limits.scrubInterval.components.seconds * 1_000_000_000
            _ = try await readChunks(since: old, &stretch)
            if !stretch.isFull { try await readLog(&stretch) }
            trouble = nil
            return stretch
        } catch {
            if trouble != error { log.warning("what is held cannot be read for now", ("reason", error)) }
            trouble = error
            return nil
        }
    }

    // MARK: Once

    func runOnce() async throws(StoreError) -> Int {
        let start = now().realtime
        suspects = []
        reading = nil
        var bad = 0
        var isAtEnd = false
        while !isAtEnd {
            var stretch = Stretch()
            bad += try await readChunks(since: start, &stretch)
            isAtEnd = !stretch.isFull && reading == nil
        }
        logPass = LogPass()
        while logPass != nil {
            var stretch = Stretch()
            try await readLog(&stretch)
        }
        return bad
    }

    // MARK: Chunks

    /// A chunk of which a part was read.
    private final class Reading {
        let chunk: Index.HeldFile
        let file: SharedFile
        let digester = ChunkDigester()
        var offset: Int64 = 0

        init(_ chunk: Index.HeldFile, _ file: SharedFile) {
            self.chunk = chunk
            self.file = file
        }
    }

    /// Reads until the stretch is full or nothing is left; a large chunk goes on in the next stretch. Answers how many
    /// were bad.
    private func readChunks(since realtime: Int64, _ stretch: inout Stretch) async throws(StoreError) -> Int {
        var sound: [ChunkID] = []
        var bad: [ChunkID] = []
        func settle(_ id: ChunkID, isSound: Bool) {
            if isSound { sound.append(id) } else { bad.append(id) }
            stretch.chunks += 1
        }
        if let begun = reading, let isSound = try readOn(begun, &stretch) { settle(begun.chunk.id, isSound: isSound) }
        if !stretch.isFull {
            for chunk in try await catalogue.unread(since: realtime, limit: Limits.scrubStretchChunks)
            where !stretch.isFull && !sound.contains(chunk.id) {
                if let isSound = try begin(chunk, &stretch) { settle(chunk.id, isSound: isSound) }
            }
        }
        try await catalogue.noteSound(sound, at: now().realtime)
        var condemned = 0
        for id in bad where try await catalogue.condemn(id) { condemned += 1 }
        return condemned
    }

    /// Whether the chunk is sound; nil where it is to be read on.
    private func begin(_ chunk: Index.HeldFile, _ stretch: inout Stretch) throws(StoreError) -> Bool? {
        let file: SharedFile?
        do throws(SyscallError) { file = try open(chunk) } catch {
            throw DataDirectory.explain(error, path: directory.path)
        }
        guard let file else { return false }
        let reading = Reading(chunk, file)
        self.reading = reading
        return try readOn(reading, &stretch)
    }

    /// nil where there is no such file of this length.
    private func open(_ chunk: Index.HeldFile) throws(SyscallError) -> SharedFile? {
        guard let folder = try directory.existingChunkFolder(chunk.id),
            try folder.length(of: chunk.id.description) == chunk.bytes
        else { return nil }
        let file = SharedFile(try folder.openFile(chunk.id.description, .read))
        // What the kernel remembers says nothing about the disk.
        file.descriptor.forgetCache()
        return file
    }

    private func readOn(_ begun: Reading, _ stretch: inout Stretch) throws(StoreError) -> Bool? {
        do throws(SyscallError) {
            while !stretch.isFull {
                let piece = try begun.file.descriptor.read(count: Limits.scrubPieceBytes, at: begun.offset)
                if piece.isEmpty {
                    reading = nil
                    return begun.digester.finish() == begun.chunk.id
                }
                begun.digester.update(piece[...])
                begun.offset += Int64(piece.count)
                stretch.bytes += Int64(piece.count)
            }
            return nil
        } catch {
            reading = nil
            guard error.isUnreadable else { throw DataDirectory.explain(error, path: directory.path) }
            return false
        }
    }

    // MARK: The log

    /// Reads on in this pass over the log; at its end the pass is over until the next is due.
    private func readLog(_ stretch: inout Stretch) async throws(StoreError) {
        if logPass == nil, SystemClock.monotonic() >= nextLogPass { logPass = LogPass() }
        while let pass = logPass, !stretch.isFull {
            let segments = try lifting { () throws(SyscallError) in try FactLog.segments(directory.log) }
            guard let segment = segments.first(where: { $0 >= pass.segment }) else { return endLogPass() }
            let offset = segment == pass.segment ? pass.offset : 0
            let found = try lifting { () throws(SyscallError) in try readLog(segment, from: offset) }
            for damaged in found.damaged { _ = try await catalogue.condemnLine(segment: segment, offset: damaged) }
            stretch.bytes += found.end - offset
            logPass = found.isEnd ? LogPass(segment: segment + 1) : LogPass(segment: segment, offset: found.end)
        }
    }

    private func endLogPass() {
        logPass = nil
        nextLogPass = SystemClock.monotonic().advanced(by: Limits.scrubInterval)
    }

    private func readLog(
        _ segment: Int64, from start: Int64
    ) throws(SyscallError) -> (damaged: [Int64], end: Int64, isEnd: Bool) {
        let file = SharedFile(try directory.log.openFile(FactLog.name(segment), .read))
        file.descriptor.forgetCache()
        var lines = FactLines(file: file, from: start)
        var damaged: [Int64] = []
        var end = start
        while end - start < Limits.scrubStretchBytes {
            guard let line = try lines.next(), !line.isUnfinished else { return (damaged, end, true) }
            if line.fact == nil { damaged.append(line.offset) }
            end = lines.position
        }
        return (damaged, end, false)
    }

    private func lifting<Result>(_ body: () throws(SyscallError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw DataDirectory.explain(error, path: directory.path) }
    }
}
