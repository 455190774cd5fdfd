internal import Glibc

/// Which Linux this is, as far as it matters.
struct KernelRelease: Comparable, Sendable {
    let major: Int
    let minor: Int

    static let current: KernelRelease = {
        var names = utsname()
        guard uname(&names) == 0 else { return KernelRelease(major: 0, minor: 0) }
        let text = withUnsafeBytes(of: names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return KernelRelease(text)
    }()

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// "6.1.0-18-arm64"; what cannot be read is very old.
    init(_ text: String) {
        let numbers = text.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) ?? 0 }
        self.init(major: numbers.first ?? 0, minor: numbers.count > 1 ? numbers[1] : 0)
    }

    static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
}
