import Foundation
import LibGRPC

/// A Python program on grpcio.
///
/// `./dev test` sets `MESSENGER_TEST_PYTHON` to a Python that has grpcio.
struct Peer {
    static let python = ProcessInfo.processInfo.environment["MESSENGER_TEST_PYTHON"]
    static var isAvailable: Bool { python != nil }

    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ script: String, _ arguments: String...) throws {
        process.executableURL = URL(fileURLWithPath: Self.python ?? "python3")
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        process.arguments = ["-B", folder.appendingPathComponent(script).path] + arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// The first line that the program prints.
    func firstLine() -> String {
        var line = Data()
        while let byte = try? output.fileHandleForReading.read(upToCount: 1), byte.first != 10, !byte.isEmpty {
            line += byte
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// Waits for the program to end.
    /// - Returns: Its exit code and what it printed.
    func end() async -> (exitCode: Int32, output: String) {
        try? input.fileHandleForWriting.close()
        return await withCheckedContinuation { continuation in
            DispatchQueue.global().async { [process, output] in
                let text = (try? output.fileHandleForReading.readToEnd()) ?? Data()
                process.waitUntilExit()
                continuation.resume(returning: (process.terminationStatus, String(decoding: text, as: UTF8.self)))
            }
        }
    }

    /// Runs `body` with a script that is a server and prints its port, then ends both.
    static func runServer(
        _ script: String,
        _ body: (_ target: String, _ group: CompletionQueueGroup) async throws -> Void
    ) async throws {
        let peer = try Peer(script)
        let port = peer.firstLine()
        let group = try CompletionQueueGroup(count: 2)
        let result: Result<Void, any Error>
        do {
            try await body("127.0.0.1:\(port)", group)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await group.shutDown()
        _ = await peer.end()
        try result.get()
    }
}
