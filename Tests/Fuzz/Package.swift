// swift-tools-version: 6.2
import PackageDescription

// Fuzzers of what the node reads: `Deploy/fuzz` builds and runs them. A package of its own, since libFuzzer brings the
// program's `main`; the code under test is the same source, by the link `Sources`.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "qnode-fuzz",
    targets: [
        .target(name: "CLinux", path: "Sources/C/CLinux"),
        .systemLibrary(name: "CLibevent", path: "Sources/C/CLibevent"),
        .target(
            name: "CLLHTTP", path: "Sources/C/CLLHTTP",
            cSettings: [
                .unsafeFlags([
                    "-I\(Context.packageDirectory)/../../.deps/llhttp/usr/share/include/llhttp",
                    "-I/usr/share/include/llhttp",
                ])
            ]),
        .systemLibrary(name: "COpenSSL", path: "Sources/C/COpenSSL"),
        .target(
            name: "CSQLite", dependencies: ["CLinux"], path: "Sources/C/CSQLite",
            linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(name: "Model", path: "Sources/Model", swiftSettings: strict),
        .target(
            name: "Reactor", dependencies: ["Model", "CLinux", "CLibevent"], path: "Sources/Reactor",
            swiftSettings: strict),
        .target(
            name: "Storage", dependencies: ["Model", "Reactor", "CLinux", "COpenSSL", "CSQLite"],
            path: "Sources/Storage", swiftSettings: strict),
        .target(
            name: "HTTP", dependencies: ["Model", "Reactor", "CLinux", "CLibevent", "CLLHTTP", "COpenSSL"],
            path: "Sources/HTTP", swiftSettings: strict),
        .target(
            name: "Recording", dependencies: ["Model", "Reactor", "Storage"], path: "Sources/Recording",
            swiftSettings: strict),
        .executableTarget(
            name: "qnode-fuzz", dependencies: ["Model", "Reactor", "Storage", "HTTP", "Recording"], path: "Harness",
            swiftSettings: strict),
    ]
)
