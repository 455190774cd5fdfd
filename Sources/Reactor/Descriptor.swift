internal import CLinux
internal import Glibc

/// One open file descriptor, closed exactly once.
package struct Descriptor: ~Copyable, Sendable {
    package let raw: Int32

    package init(adopting raw: Int32) {
        precondition(raw >= 0, "a descriptor is never negative")
        self.raw = raw
    }

    deinit {
        let result = Glibc.close(raw)
        precondition(result == 0 || errno != EBADF, "descriptor \(raw) was closed behind its owner's back")
    }
}

extension Descriptor {
    /// Appends, or writes at the file position, all of `bytes`.
    package borrowing func write(_ bytes: [UInt8]) throws(SyscallError) {
        let raw = self.raw
        try Self.writeAll(bytes) { pointer, count, _ throws(SyscallError) in
            try retrying("write", of: count) { Glibc.write(raw, pointer, $0) }
        }
    }

    /// Writes all of `bytes` at `offset`.
    package borrowing func write(_ bytes: [UInt8], at offset: Int64) throws(SyscallError) {
        let raw = self.raw
        try Self.writeAll(bytes) { pointer, count, done throws(SyscallError) in
            try retrying("pwrite", of: count) { Glibc.pwrite(raw, pointer, $0, off_t(offset) + off_t(done)) }
        }
    }

    private static func writeAll(
        _ bytes: [UInt8], _ write: (UnsafeRawPointer, Int, Int) throws(SyscallError) -> Int
    ) throws(SyscallError) {
        var done = 0
        while done < bytes.count {
            let written: Result<Int, SyscallError> = bytes.withUnsafeBytes { buffer in
                do throws(SyscallError) {
                    return .success(try write(buffer.baseAddress! + done, buffer.count - done, done))
                } catch {
                    return .failure(error)
                }
            }
            done += try written.get()
        }
    }

    /// Up to `count` bytes at `offset`; fewer only at the end of the file.
    package borrowing func read(count: Int, at offset: Int64) throws(SyscallError) -> [UInt8] {
        let raw = self.raw
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got: Result<Int, SyscallError> = bytes.withUnsafeMutableBytes { buffer in
                do throws(SyscallError) {
                    return .success(
                        try retrying("pread") {
                            Glibc.pread(raw, buffer.baseAddress! + done, count - done, off_t(offset) + off_t(done))
                        })
                } catch {
                    return .failure(error)
                }
            }
            let n = try got.get()
            if n == 0 { break }
            done += n
        }
        bytes.removeLast(count - done)
        return bytes
    }

    /// One read(2) from a stream, a tty or a socket: nil where nothing is there yet, empty at the end.
    package borrowing func readAvailable(atMost count: Int) throws(SyscallError) -> [UInt8]? {
        let raw = self.raw
        var bytes = [UInt8](repeating: 0, count: count)
        let got: Result<Int, SyscallError> = bytes.withUnsafeMutableBytes { buffer in
            do throws(SyscallError) {
                return .success(try retrying("read") { Glibc.read(raw, buffer.baseAddress!, count) })
            } catch {
                return .failure(error)
            }
        }
        do {
            bytes.removeLast(count - (try got.get()))
            return bytes
        } catch {
            if error.wouldBlock { return nil }
            throw error
        }
    }

    /// One write(2) to a stream, a tty or a socket: how many bytes it took, 0 where none fit.
    package borrowing func writeAvailable(_ bytes: ArraySlice<UInt8>) throws(SyscallError) -> Int {
        let raw = self.raw
        let put: Result<Int, SyscallError> = bytes.withUnsafeBytes { buffer in
            do throws(SyscallError) {
                return .success(try retrying("write") { Glibc.write(raw, buffer.baseAddress!, buffer.count) })
            } catch {
                return .failure(error)
            }
        }
        do {
            return try put.get()
        } catch {
            if error.wouldBlock { return 0 }
            throw error
        }
    }

    /// fdatasync(2): the bytes, and as much of the inode as reading them back needs.
    package borrowing func synchronizeData() throws(SyscallError) {
        let raw = self.raw
        _ = try retrying("fdatasync") { Glibc.fdatasync(raw) }
    }

    /// fsync(2).
    package borrowing func synchronize() throws(SyscallError) {
        let raw = self.raw
        _ = try retrying("fsync") { Glibc.fsync(raw) }
    }

    /// Starts writing the file's bytes to the disk without waiting for it. A hint: nothing is durable and no error is
    /// told before
    /// `synchronize`.
    package borrowing func startWriteback() { qn_start_writeback(raw) }

    /// Whether a sync of the whole file system covered this file, too: that tells of an error once, to the first who
    /// asks after it. The file's own error is told to each descriptor that was open before it. Costs microseconds.
    package borrowing func checkWriteback() throws(SyscallError) {
        let raw = self.raw
        _ = try retrying("sync_file_range") { qn_check_writeback(raw) }
    }

    /// Lets the kernel drop what it has cached of the file, so that the next read comes from the disk. A hint.
    package borrowing func forgetCache() { _ = posix_fadvise(raw, 0, 0, POSIX_FADV_DONTNEED) }

    package borrowing func truncate(to length: Int64) throws(SyscallError) {
        let raw = self.raw
        _ = try retrying("ftruncate") { Glibc.ftruncate(raw, off_t(length)) }
    }

    /// Takes `length` bytes of the disk for the file, so that later writes to them cannot run out of space. Where the
    /// file system has no call for that, zeros are written.
    package borrowing func allocate(_ length: Int64) throws(SyscallError) {
        let raw = self.raw
        do {
            _ = try retrying("fallocate") { qn_allocate(raw, length) }
        } catch {
            guard error.code == EOPNOTSUPP else { throw error }
            let zeros = [UInt8](repeating: 0, count: 1 << 18)
            for offset in stride(from: 0, to: length, by: zeros.count) {
                try write(Array(zeros.prefix(Int(min(length - offset, Int64(zeros.count))))), at: offset)
            }
        }
    }

    /// Bytes of the disk that the file really has: fewer than its length where it has holes.
    package borrowing func allocatedLength() throws(SyscallError) -> Int64 {
        let raw = self.raw
        var status = Glibc.stat()
        _ = try retrying("fstat") { Glibc.fstat(raw, &status) }
        return Int64(status.st_blocks) * 512
    }

    package borrowing func changeMode(_ mode: UInt32) throws(SyscallError) {
        let raw = self.raw
        _ = try retrying("fchmod") { Glibc.fchmod(raw, mode_t(mode)) }
    }

    /// The file's length in bytes.
    package borrowing func length() throws(SyscallError) -> Int64 {
        let raw = self.raw
        var status = Glibc.stat()
        _ = try retrying("fstat") { Glibc.fstat(raw, &status) }
        return Int64(status.st_size)
    }

    /// flock(2), exclusive: false where another process has it.
    package borrowing func lockExclusively() throws(SyscallError) -> Bool {
        let raw = self.raw
        do {
            _ = try retrying("flock") { qn_lock_exclusive(raw) }
            return true
        } catch {
            if error.wouldBlock { return false }
            throw error
        }
    }

    /// Gives the lock back before the descriptor is closed. It cannot fail on a descriptor that is open.
    package borrowing func unlock() { _ = qn_unlock(raw) }
}
