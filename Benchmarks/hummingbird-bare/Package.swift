// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "hummingbird-bare",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", .upToNextMinor(from: "2.28.1"), traits: [])
    ],
    targets: [
        .executableTarget(
            name: "Server",
            dependencies: [.product(name: "Hummingbird", package: "hummingbird")]
        )
    ]
)
