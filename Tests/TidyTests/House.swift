/// Who may import whom: the house from the ground up (the design's order), and which target speaks to which C library.
enum House {
    /// A target imports only what stands before it. Features know neither HTTP nor each other; Gateway supplies what
    /// they need.
    static let modules: [String: Set<String>] = [
        "Model": [],
        "Reactor": ["Model"],
        "Storage": ["Model", "Reactor"],
        "HTTP": ["Model", "Reactor"],
        "Recording": ["Model", "Reactor", "Storage"],
        "Discovery": ["Model", "Reactor"],
        "Timekeeping": ["Model", "Reactor"],
        "Replication": ["Model", "Reactor", "Storage"],
        "Gateway": [
            "Model", "Reactor", "Storage", "HTTP", "Recording", "Discovery", "Timekeeping", "Replication",
        ],
        "Node": [
            "Model", "Reactor", "Storage", "HTTP", "Recording", "Discovery", "Timekeeping", "Replication", "Gateway",
        ],
        "qnode": ["Model", "Reactor", "Node"],
    ]

    static let libraries: [String: Set<String>] = [
        "Reactor": ["Glibc", "CLinux", "CLibevent", "Synchronization"],
        "Storage": ["Glibc", "CLinux", "COpenSSL", "CSQLite"],
        "HTTP": ["Glibc", "CLinux", "CLibevent", "CLLHTTP", "COpenSSL"],
        "Discovery": ["Glibc", "CLinux", "CLibevent", "CAvahi"],
    ]

    /// Single files that need calls without a pointer, and why.
    static let exceptions: [String: Set<String>] = [
        "Sources/Node/TerminalStream.swift": ["Glibc"],  // isatty, dup
        "Sources/Node/ConfigurationSurroundings.swift": ["Glibc"],  // geteuid
        "Sources/qnode/QNode.swift": ["Glibc"],  // exit
    ]

    static let topLevel: Set<String> = [
        "CHANGELOG.md", "Deploy", "Docs", "LICENSE", "Package.swift", "README.md", "Sources", "Tests",
    ]

    static func mayImport(_ module: String, in file: SourceFile) -> Bool {
        guard let target = file.target else { return true }
        return modules[target]?.contains(module) == true || libraries[target]?.contains(module) == true
            || exceptions[file.path]?.contains(module) == true
            || (module == "FoundationEssentials" && target != "Model")
    }
}
