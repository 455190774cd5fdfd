internal import CLinux
internal import Glibc

/// Why a serial line cannot be used, in the words a person gets to read.
package enum SerialLineError: Error, Hashable, Sendable {
    /// No such device: not plugged in, or another path.
    case absent(path: String)
    /// Another process has the line.
    case busy(path: String)
    /// The path leads to something that is no serial line.
    case notATerminal(path: String)
    /// The group is the one that the device belongs to, where its name is known.
    case notPermitted(path: String, group: String?)
    case unsupportedBaud(path: String, baud: Int)
    /// The bytes that wait to be sent are at their limit: the device takes none.
    case stalled(path: String)
    case closed(path: String)
    case system(SyscallError, path: String)

    /// The meaning of a failed open(2).
    init(opening path: String, _ error: SyscallError) {
        switch error.code {
        case ENOENT, ENXIO, ENODEV, ENOTDIR, EIO: self = .absent(path: path)
        case EBUSY: self = .busy(path: path)
        case EISDIR, ELOOP: self = .notATerminal(path: path)
        case EACCES, EPERM: self = .notPermitted(path: path, group: Self.group(of: path))
        default: self = .system(error, path: path)
        }
    }

    private static func group(of path: String) -> String? {
        var status = Glibc.stat()
        guard fstatat(AT_FDCWD, path, &status, 0) == 0 else { return nil }
        var entry = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getgrgid_r(status.st_gid, &entry, &buffer, buffer.count, &found) == 0, found != nil,
            let name = entry.gr_name
        else { return nil }
        return String(cString: name)
    }
}

extension SerialLineError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .absent(let path): "there is no \(path): plug the sensor's adapter in, or name another port with --serial"
        case .busy(let path): "\(path) is held by another process: close that one, or name another port with --serial"
        case .notATerminal(let path): "\(path) is no serial line: name a tty with --serial"
        case .notPermitted(let path, let group):
            if let group, group != "root" {
                "\(path) may not be opened: it belongs to group \(group), add the user to it "
                    + "(usermod -aG \(group) NAME)"
            } else {
                "\(path) may not be opened by this user: run as one who may, or change its owner by a udev rule"
            }
        case .unsupportedBaud(let path, let baud):
            "\(path) does not run at \(baud) baud: choose a usual rate such as 9600 or 115200"
        case .stalled(let path): "\(path) takes no more bytes: the device does not read them"
        case .closed(let path): "\(path) is closed"
        case .system(let error, let path): "\(path): \(error.reason) (\(error.call))"
        }
    }
}
