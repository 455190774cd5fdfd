internal import Model
internal import Reactor

/// A file that more than one actor may need, closed with its last user. It knows whether its bytes can be relied on.
final class SharedFile: Sendable {
    private enum State {
        case sound
        /// Synced, and written to no more.
        case durable
        /// A sync failed: the kernel reports an error once and calls the pages clean, so a repetition would succeed and
        /// mean nothing.
        case suspect
        /// The bytes are durable in another file, which has taken this one's name.
        case replaced
    }

    let descriptor: Descriptor
    private let state = Locked(State.sound)
    /// Held while the file is synced or written anew: two lanes may want that at once, and the kernel tells of an error
    /// once.
    private let gate = Locked(())

    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// fsync(2) of a file that is written to no more; not again where that has succeeded, and never again where it
    /// failed.
    func synchronizeOnce() throws(SyscallError) {
        try gate.withLock { _ throws(SyscallError) in
            switch state.withLock({ $0 }) {
            case .durable, .replaced: return
            case .suspect: throw SyscallError.earlierSyncFailed
            case .sound: break
            }
            do throws(SyscallError) {
                try descriptor.synchronize()
                state.withLock { $0 = .durable }
            } catch {
                state.withLock { $0 = .suspect }
                throw error
            }
        }
    }

    /// fdatasync(2) of what was written so far; more may come. Throws as well where an earlier one failed.
    func synchronizeSoFar() throws(SyscallError) {
        try gate.withLock { _ throws(SyscallError) in
            switch state.withLock({ $0 }) {
            case .durable, .replaced: return
            case .suspect: throw SyscallError.earlierSyncFailed
            case .sound: break
            }
            do throws(SyscallError) { try descriptor.synchronizeData() } catch {
                state.withLock { $0 = .suspect }
                throw error
            }
        }
    }

    /// Whether a sync of everything on its disk can make it durable: nothing of it failed so far.
    var isSound: Bool { if case .sound = state.withLock({ $0 }) { true } else { false } }

    /// The bytes are in another file, which has its name.
    var isReplaced: Bool { if case .replaced = state.withLock({ $0 }) { true } else { false } }

    /// A sync of everything on its disk has succeeded since it was last written to. It may have missed this file, whose
    /// error another such sync was told of before: then this is a failed sync of its own.
    func noteDurable() {
        gate.withLock { _ in
            guard case .sound = state.withLock({ $0 }) else { return }
            do throws(SyscallError) {
                try descriptor.checkWriteback()
                state.withLock { $0 = .durable }
            } catch {
                state.withLock { $0 = .suspect }
            }
        }
    }

    /// Writes the first `length` bytes, and `tail` behind them, to another file, durable, which then takes the name;
    /// the old one is kept in quarantine. This one where another lane has done so.
    func writeAnew(
        as name: String, in folder: borrowing Directory, length: Int64, tail: [UInt8] = [], keeping aside: String,
        in quarantine: borrowing Directory, where isSound: ([UInt8]) -> Bool
    ) throws(SyscallError) -> SharedFile {
        try gate.withLock { _ throws(SyscallError) in
            if case .replaced = state.withLock({ $0 }) { return self }
            return try replace(
                name, in: folder, length: length, tail: tail, keeping: aside, in: quarantine, where: isSound)
        }
    }

    private func replace(
        _ name: String, in folder: borrowing Directory, length: Int64, tail: [UInt8], keeping aside: String,
        in quarantine: borrowing Directory, where isSound: ([UInt8]) -> Bool
    ) throws(SyscallError) -> SharedFile {
        var bytes = try descriptor.read(count: Int(length), at: 0)
        guard Int64(bytes.count) == length else { throw SyscallError.earlierSyncFailed }
        bytes += tail
        guard isSound(bytes) else { throw SyscallError.earlierSyncFailed }
        let temporary = ".\(name).anew"
        try folder.remove(temporary)
        let file = SharedFile(try folder.openFile(temporary, .createNew))
        do {
            try file.descriptor.write(bytes, at: 0)
            try file.descriptor.synchronize()
            // One replacing rename: there is no moment without a file of this name.
            try quarantine.remove(aside)
            try folder.link(name, to: quarantine, as: aside)
            try folder.rename(temporary, to: folder, as: name)
        } catch {
            // A full disk has no room for a second half of it; what stays is removed at the next start.
            _ = try? folder.remove(temporary)
            throw error
        }
        try folder.synchronize()
        state.withLock { $0 = .replaced }
        return file
    }
}
