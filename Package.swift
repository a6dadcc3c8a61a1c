// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "messenger",
    products: [
        .library(name: "LibGRPC", targets: ["LibGRPC", "GRPCServices"]),
        .executable(name: "messenger-server", targets: ["Server"]),
        .executable(name: "messenger-client", targets: ["Client"]),
        .executable(name: "first-service", targets: ["FirstService"]),
    ],
    // Why each of them is here: docs/architecture.md, "Dependencies".
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.2")),
        .package(url: "https://github.com/apple/swift-collections", .upToNextMinor(from: "1.6.0")),
        .package(url: "https://github.com/apple/swift-log", .upToNextMinor(from: "1.16.2")),
        .package(url: "https://github.com/apple/swift-metrics", .upToNextMinor(from: "2.13.0")),
        .package(url: "https://github.com/apple/swift-nio", .upToNextMinor(from: "2.101.2")),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", .upToNextMinor(from: "2.13.0")),
    ],
    targets: [
        // gRPC's C core. No pkgConfig: SwiftPM expands what grpc.pc requires exponentially; the module map links it.
        .systemLibrary(name: "CGRPC", providers: [.apt(["libgrpc-dev"])]),
        // Redis's client in C.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        // SQLite. No pkgConfig either: the module map links it, and nothing else is needed.
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        // SHA-256, and TLS to Redis. Its headers come with libgrpc-dev.
        .systemLibrary(name: "COpenSSL"),
        // protobuf-c's output, committed; `./dev proto` makes it again.
        .target(name: "CMessenger", linkerSettings: [.linkedLibrary("protobuf-c")]),
        .target(name: "CGRPCServices", linkerSettings: [.linkedLibrary("protobuf-c")]),
        // The one thing that needs C++; abseil's headers come with libgrpc-dev.
        .target(name: "CGRPCTuning", linkerSettings: [.linkedLibrary("absl_synchronization")]),
        // What has to be done before Swift's runtime starts; the process's arguments, which Swift does not always find.
        .target(name: "CProcess"),
        .target(name: "LibGRPC", dependencies: ["CGRPC", "CGRPCTuning"], swiftSettings: swiftSettings),
        .target(
            name: "GRPCServices",
            dependencies: ["CGRPCServices", "LibGRPC"],
            exclude: ["Protos"],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Messenger",
            dependencies: [
                "CMessenger", "COpenSSL", "CProcess", "LibGRPC",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "HTTPServing",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
        // The metrics that swift-metrics counts, in Prometheus's text format.
        .target(
            name: "Prometheus",
            dependencies: [
                "CProcess", "HTTPServing",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(name: "Redis", dependencies: ["CHiredis", "COpenSSL"], swiftSettings: swiftSettings),
        .target(name: "SQLite", dependencies: ["CSQLite"], swiftSettings: swiftSettings),
        .executableTarget(
            name: "Server",
            dependencies: [
                "LibGRPC", "GRPCServices", "HTTPServing", "Messenger", "Prometheus", "Redis", "SQLite",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "Client",
            dependencies: [
                "LibGRPC", "HTTPServing", "Messenger", "Prometheus",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            resources: [.embedInCode("Page")],
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "FirstService",
            dependencies: ["LibGRPC"],
            path: "Examples/FirstService",
            swiftSettings: swiftSettings
        ),
        // The interop tests' messages: protobuf-c's output, as above.
        .target(name: "CInterop", path: "Tests/CInterop", linkerSettings: [.linkedLibrary("protobuf-c")]),
        // What the tests of several modules share.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: swiftSettings),
        // What the core tells tests only.
        .systemLibrary(name: "CGRPCInspection", path: "Tests/CGRPCInspection"),
        .testTarget(
            name: "LibGRPCTests",
            dependencies: ["CGRPC", "CGRPCInspection", "CInterop", "LibGRPC", "GRPCServices", "TestSupport"],
            exclude: [
                "Interop/Protos", "Peers/interop_client.py", "Peers/interop_messages.py", "Peers/interop_server.py",
                "Peers/peer_client.py", "Peers/peer_server.py", "Peers/program.py",
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "MessengerTests",
            dependencies: [
                "LibGRPC", "Messenger", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "PrometheusTests",
            dependencies: [
                "Prometheus",
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(name: "RedisTests", dependencies: ["Redis"], swiftSettings: swiftSettings),
        .testTarget(name: "SQLiteTests", dependencies: ["SQLite"], swiftSettings: swiftSettings),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "LibGRPC", "Messenger", "Redis", "SQLite", "Server",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "HTTPServingTests",
            dependencies: [
                "HTTPServing",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "ClientTests",
            dependencies: [
                "Client", "LibGRPC", "HTTPServing", "Messenger", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
    ],
    cxxLanguageStandard: .cxx17
)
