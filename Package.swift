// swift-tools-version: 6.2
import PackageDescription

/// Holds for every Swift target: a warning is an error, and nothing is inherited by accident.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .treatAllWarnings(as: .error),
]

/// Strict memory safety where a target speaks to no C library: there `unsafe` would be a finding.
let pure: [SwiftSetting] = strict + [.strictMemorySafety()]

let package = Package(
    name: "qnode",
    targets: [
        .target(name: "CLinux", path: "Sources/C/CLinux"),
        .systemLibrary(name: "CLibevent", path: "Sources/C/CLibevent"),
        .target(
            name: "CLLHTTP", path: "Sources/C/CLLHTTP",
            cSettings: [
                .headerSearchPath("../../../.deps/llhttp/usr/share/include/llhttp"),
                .unsafeFlags(["-I/usr/share/include/llhttp"]),
            ]),
        .systemLibrary(name: "COpenSSL", path: "Sources/C/COpenSSL"),
        .systemLibrary(name: "CAvahi", path: "Sources/C/CAvahi"),
        .target(
            name: "CSQLite", dependencies: ["CLinux"], path: "Sources/C/CSQLite",
            linkerSettings: [.linkedLibrary("sqlite3")]),

        // The house, from the ground up: a target imports only targets above it.
        .target(name: "Model", swiftSettings: pure),
        .target(name: "Reactor", dependencies: ["Model", "CLinux", "CLibevent"], swiftSettings: strict),
        .target(
            name: "Storage", dependencies: ["Model", "Reactor", "CLinux", "COpenSSL", "CSQLite"],
            swiftSettings: strict),
        .target(
            name: "HTTP", dependencies: ["Model", "Reactor", "CLinux", "CLibevent", "CLLHTTP", "COpenSSL"],
            swiftSettings: strict),
        .target(name: "Recording", dependencies: ["Model", "Reactor", "Storage"], swiftSettings: pure),
        .target(
            name: "Discovery", dependencies: ["Model", "Reactor", "CLibevent", "CAvahi", "CLinux"],
            swiftSettings: strict,
            // libavahi-client and libavahi-core export the same names: the core is linked statically with its symbols
            // hidden.
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--exclude-libs", "-Xlinker", "libavahi-core.a", "-l:libavahi-core.a"]),
                .linkedLibrary("avahi-client"), .linkedLibrary("avahi-common"),
            ]),
        .target(name: "Timekeeping", dependencies: ["Model", "Reactor"], swiftSettings: pure),
        .target(name: "Replication", dependencies: ["Model", "Reactor", "Storage"], swiftSettings: pure),
        .target(
            name: "Gateway",
            dependencies: [
                "Model", "Reactor", "Storage", "HTTP", "Recording", "Discovery", "Timekeeping", "Replication",
            ],
            swiftSettings: pure),
        .target(
            name: "Node",
            dependencies: [
                "Model", "Reactor", "Storage", "HTTP", "Recording", "Discovery", "Timekeeping", "Replication",
                "Gateway",
            ],
            swiftSettings: pure),
        .executableTarget(name: "qnode", dependencies: ["Model", "Reactor", "Node"], swiftSettings: pure),

        .testTarget(name: "ModelTests", dependencies: ["Model"], swiftSettings: strict),
        .testTarget(name: "ReactorTests", dependencies: ["Model", "Reactor"], swiftSettings: strict),
        .testTarget(
            name: "StorageTests", dependencies: ["Model", "Reactor", "Storage", "CLinux"], swiftSettings: strict),
        .testTarget(name: "HTTPTests", dependencies: ["Model", "Reactor", "HTTP"], swiftSettings: strict),
        .testTarget(
            name: "RecordingTests", dependencies: ["Model", "Reactor", "Storage", "Recording"], swiftSettings: strict),
        .testTarget(
            name: "DiscoveryTests", dependencies: ["Model", "Reactor", "Discovery", "TestSupport", "discovery-probe"],
            swiftSettings: strict),
        // A node's discovery alone, which tests run inside network namespaces.
        .executableTarget(
            name: "discovery-probe", dependencies: ["Model", "Reactor", "Discovery"], path: "Tests/DiscoveryProbe",
            swiftSettings: strict),
        .testTarget(
            name: "TimekeepingTests", dependencies: ["Model", "Reactor", "Timekeeping"], swiftSettings: strict),
        .testTarget(
            name: "ReplicationTests", dependencies: ["Model", "Reactor", "Storage", "Replication"],
            swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Model", "Reactor", "Storage", "HTTP", "Discovery", "Timekeeping", "Replication", "Recording",
                "Gateway",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "NodeTests",
            dependencies: ["Model", "Reactor", "Storage", "Replication", "Gateway", "Node", "qnode"],
            swiftSettings: strict),
        // Real processes of the built program: what a person at a shell meets.
        .testTarget(name: "ProcessTests", dependencies: ["qnode"], swiftSettings: strict),
        .testTarget(
            name: "SoakTests",
            dependencies: ["Model", "Reactor", "Storage", "HTTP", "Recording", "Gateway", "Node", "qnode"],
            swiftSettings: strict),
        .testTarget(
            name: "NetworkTests",
            dependencies: [
                "Model", "Reactor", "Storage", "HTTP", "Gateway", "TestSupport", "CTap", "qnode", "test-tether",
            ],
            swiftSettings: strict),
        // Processes and network namespaces, for tests of several targets.
        .target(
            name: "TestSupport", dependencies: ["Model", "Reactor", "CTap", "test-tether"], path: "Tests/TestSupport",
            swiftSettings: strict),
        // Ethernet frames between two namespaces with the faults of a tether. Optimised in debug builds too: it must
        // not be what limits a link.
        .executableTarget(
            name: "test-tether", dependencies: ["CTap"], path: "Tests/Tether",
            swiftSettings: strict + [.unsafeFlags(["-O"])]),
        .target(name: "CTap", path: "Tests/CTap"),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        // Several nodes on one thread, under a clock and a network that a seed makes: Deploy/simulate runs it.
        .target(
            name: "Simulation", dependencies: ["Model", "Reactor", "Storage", "Replication"],
            path: "Tests/Simulation", swiftSettings: strict),
        .executableTarget(
            name: "qnode-sim", dependencies: ["Simulation"], path: "Tests/SimulationRun", swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["TestSupport", "Simulation", "qnode-sim"],
            swiftSettings: strict),
        // Figures and ratios, never a timed test: Deploy/bench builds and runs it.
        .executableTarget(
            name: "qnode-bench",
            dependencies: [
                "Model", "Reactor", "Storage", "HTTP", "Node", "COpenSSL", "TestSupport", "test-tether",
            ],
            path: "Tests/Bench", swiftSettings: strict),
    ]
)
