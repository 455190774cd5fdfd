internal import Glibc

/// Raises this process's limit of open descriptors to what the system allows it: shells start with 1,024, and what the
/// network may take is bounded elsewhere.
package func raiseDescriptorLimit() throws(SyscallError) {
    var limit = rlimit()
    _ = try retrying("getrlimit") { getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
    guard limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    _ = try retrying("setrlimit") { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
}
