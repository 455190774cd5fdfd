internal import Glibc

/// A system call that failed, and why.
package struct SyscallError: Error, Hashable, Sendable, CustomStringConvertible {
    package let call: String
    package let code: Int32

    package init(_ call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The reason alone, as strerror(3) puts it: "No space left on device".
    package var reason: String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package var description: String { "\(call): \(reason)" }

    /// A sync of this file failed before, and its descriptor is not to be believed again.
    package static let earlierSyncFailed = SyscallError("fsync", code: EIO)

    /// Bytes that were there a moment ago cannot be read any more.
    package static let unreadable = SyscallError("pread", code: EIO)

    /// Something else stands under a name than what was put there.
    package static let misplaced = SyscallError("rename", code: ESTALE)

    package var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }
    /// The medium does not give the bytes.
    package var isUnreadable: Bool { call == "pread" && code == EIO }
    package var isNotFound: Bool { code == ENOENT }
    package var alreadyExists: Bool { code == EEXIST }
    package var wouldBlock: Bool { code == EAGAIN }
    package var isRefused: Bool { code == ECONNREFUSED }
    package var isNotPermitted: Bool { code == EACCES || code == EPERM }
    package var isReadOnly: Bool { code == EROFS }
}

/// The funnel of every system call that touches a disk: repeats what a signal broke off, and is where tests inject
/// faults.
func retrying<Result: FixedWidthInteger>(
    _ call: StaticString, _ body: () -> Result
) throws(SyscallError) -> Result {
    try retrying(call, of: 0) { _ in body() }
}

/// The same for a call that may take less than the `count` bytes it is given.
func retrying<Result: FixedWidthInteger>(
    _ call: StaticString, of count: Int, _ body: (Int) -> Result
) throws(SyscallError) -> Result {
    while true {
        var count = count
        #if DEBUG
            switch FaultPlan.current?.willCall(call.description) {
            case .fail(EINTR): continue
            case .fail(let code): throw SyscallError(call.description, code: code)
            case .short: count = min(count, max(1, count / 2))
            case .kill, nil: break
            }
        #endif
        let result = body(count)
        guard result == -1 else { return result }
        let code = errno
        guard code == EINTR else { throw SyscallError(call.description, code: code) }
    }
}
