internal import Model
internal import Reactor

/// The write-ahead log's segments and the chunks' files: what is written anew, and where, when a disk fails.
extension Journal {
    /// False where the segment failed: another was begun, and the records are to be appended there. No room is no
    /// failure of the segment: it stays as it was, and so does the log.
    func append(_ records: [WALRecord]) throws(SyscallError) -> Bool {
        do {
            try wal.append(records)
            return true
        } catch {
            guard case .failed(let reason) = error else { throw error.reason }
            walFailed = true
            try roll()
            incidents.report(.walRenewed, "the write-ahead log failed (\(reason)) and goes on in a new segment")
            return false
        }
    }

    func appendAgain(_ records: [WALRecord]) throws(SyscallError) {
        do {
            try wal.append(records)
        } catch {
            if case .failed = error { walFailed = true }
            throw error.reason
        }
    }

    /// After a failure that could not be overcome at once.
    func renewWhereFailed() throws(SyscallError) {
        guard walFailed else { return }
        try roll()
        incidents.report(.walRenewed, "the write-ahead log had failed and goes on in a new segment")
    }

    /// Begins a new segment that needs none before it: every open chunk is synced and named with its length.
    func roll() throws(SyscallError) {
        var records: [WALRecord] = []
        for chunk in open.values where chunk.length > 0 {
            try healSuspect(chunk)
            do {
                try chunk.synchronize()
            } catch {
                // Never retried on the same descriptor: written anew elsewhere.
                guard chunk.isSuspect else { throw error }
                try healSuspect(chunk)
            }
            records.append(.checkpoint(chunk.checkpoint))
        }
        records += synchronizeCopies()
        let sealing = Set(pendingSeals.values.map(\.source))
        // The segments that go hold bytes of these as well: they are relied on only once their own files are durable.
        for chunk in closing.values {
            try synchronize(chunk.slot, chunk.file, length: chunk.bytes, checksum: chunk.checksum)
            if !sealing.contains(.open(chunk.slot)) { records.append(.checkpoint(chunk.checkpoint)) }
        }
        for copy in leaving.values where !sealing.contains(.open(copy.slot)) {
            records.append(.checkpoint(copy.checkpoint))
        }
        records += pendingSeals.values.map(WALRecord.seal) + pendingFacts.values.map { .fact($0.bytes) }
        let old = wal.segmentNumber
        let newest = try WriteAheadLog.segments(in: directory.wal).last ?? old
        do {
            wal = try WriteAheadLog.begin(after: max(old, newest), in: directory.wal, records: records)
        } catch {
            // A segment that was begun in vain may be there after a crash: nothing is appended to one before it.
            walFailed = true
            throw error
        }
        (walFailed, hasStartedCopies) = (false, false)
        for number in try WriteAheadLog.segments(in: directory.wal) where number < wal.segmentNumber {
            try directory.wal.remove(WriteAheadLog.name(number))
        }
    }

    func rollWhereDue() {
        if wal.length >= Limits.walSegmentBytes / 2 { startCopies() }
        guard wal.length >= Limits.walSegmentBytes else { return }
        do {
            try roll()
        } catch {
            incidents.report(
                .walKept, "the write-ahead log could not be rolled (\(error)); the next commit tries again")
        }
    }

    /// A closed chunk waits for its seal, which may have given it its name meanwhile.
    func synchronize(_ slot: ChunkSlot, _ file: SharedFile, length: Int64, checksum: UInt32) throws(SyscallError) {
        do {
            try file.synchronizeOnce()
        } catch {
            let folder = try directory.openFolder(author: slot.author, session: slot.session)
            let name = OpenChunk.fileName(slot)
            guard try folder.kind(of: name) == .file else { return }
            _ = try file.writeAnew(
                as: name, in: folder, length: length, keeping: "\(slot.session).\(name).failed",
                in: directory.quarantine
            ) { Checksum($0).value == checksum }
            incidents.report(.chunkWrittenAnew, "chunk \(name) was written anew: its file failed (\(error))")
        }
    }

    /// After a failed sync the kernel may call pages clean that never reached the disk, and a file that refuses a write
    /// will refuse the next: the committed bytes are written to another file, checked against their checksum, and the
    /// old one is set aside.
    func healSuspect(_ chunk: OpenChunk) throws(SyscallError) {
        guard chunk.isSuspect else { return }
        let folder = try directory.openFolder(author: chunk.slot.author, session: chunk.slot.session)
        let aside = "\(chunk.slot.session).\(chunk.fileName).failed"
        let file = try chunk.file.writeAnew(
            as: chunk.fileName, in: folder, length: chunk.lengthInFile, tail: chunk.tail, keeping: aside,
            in: directory.quarantine
        ) { Checksum($0).value == chunk.checksum.value }
        chunk.move(to: file)
        board.moved(chunk.slot, to: file, lengthInFile: chunk.lengthInFile)
        incidents.report(.chunkWrittenAnew, "chunk \(chunk.fileName) was written anew: its file failed")
    }

    /// What a chunk's file lacks stays in memory, so there is a bound: beyond it no more rows are taken for it.
    func catchUp(_ chunk: OpenChunk) throws(SyscallError) {
        guard chunk.unwrittenBytes > Limits.laggingChunkBytes else { return }
        try healSuspect(chunk)
        try chunk.flush()
    }
}

extension WriteAheadLog.AppendError {
    fileprivate var reason: SyscallError {
        switch self {
        case .noSpace(let error), .failed(let error): error
        }
    }
}
