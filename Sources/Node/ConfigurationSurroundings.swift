internal import FoundationEssentials
internal import Glibc
internal import Model
internal import Reactor

/// What a process finds around it, as values: a decision about settings never reads the world by itself.
package struct Surroundings: Sendable {
    package var environment: [String: String]
    package var userID: UInt32
    package var workingDirectory: String
    package var hostName: String
    /// The bytes of a file of settings.
    package var readFile: @Sendable (String) throws(ValueError) -> [UInt8]

    package init(
        environment: [String: String], userID: UInt32, workingDirectory: String, hostName: String,
        readFile: @escaping @Sendable (String) throws(ValueError) -> [UInt8]
    ) {
        self.environment = environment
        self.userID = userID
        self.workingDirectory = workingDirectory
        self.hostName = hostName
        self.readFile = readFile
    }

    /// This process.
    package static func current() -> Self {
        Surroundings(
            environment: ProcessInfo.processInfo.environment, userID: geteuid(),
            workingDirectory: FileManager.default.currentDirectoryPath, hostName: kernelHostName(),
            readFile: { path throws(ValueError) in try readSettings(path) })
    }

    /// What help and tables are wrapped at: `COLUMNS` where a shell exports it.
    package var columns: Int { min(max(environment["COLUMNS"].flatMap { decimal($0) } ?? 80, 40), 120) }

    /// A path made absolute; neither links nor `..` are resolved.
    func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        let tail = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
        return workingDirectory == "/" ? "/\(tail)" : "\(workingDirectory)/\(tail)"
    }

    /// Not `gethostname` through Foundation, which may ask the network.
    private static func kernelHostName() -> String {
        do {
            let file = try Directory.open("/proc/sys/kernel").openFile("hostname", .read)
            let name = String(decoding: try file.read(count: 256, at: 0), as: UTF8.self)
            let trimmed = name.prefix { $0 != "\n" && $0 != "." }
            return trimmed.isEmpty ? "qnode" : String(trimmed)
        } catch {
            // A name is for people: without /proc any will do.
            return "qnode"
        }
    }

    private static func readSettings(_ path: String) throws(ValueError) -> [UInt8] {
        let url = URL(filePath: path).resolvingSymlinksInPath()
        let name = url.lastPathComponent
        do {
            let directory = try Directory.open(url.deletingLastPathComponent().path)
            switch try directory.kind(of: name) {
            case .file: break
            case nil: throw ValueError("there is no such file")
            default: throw ValueError("it is not a regular file")
            }
            let bytes = try directory.openFile(name, .read).read(count: Limits.configurationBytes + 1, at: 0)
            guard bytes.count <= Limits.configurationBytes else {
                throw ValueError("it is longer than \(Limits.configurationBytes) bytes, which no file of settings is")
            }
            return bytes
        } catch let error as ValueError {
            throw error
        } catch let error as SyscallError {
            throw ValueError(error.reason)
        } catch {
            throw ValueError("\(error)")
        }
    }
}
