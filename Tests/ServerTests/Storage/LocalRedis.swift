import Foundation
import Redis
import Testing

@testable import Server

/// A redis-server of a test's own, which keeps nothing on disk and ends with its last user.
final class LocalRedis: Sendable {
    /// In CI there has to be one: tests that are passed over there would be missed by nobody.
    static var isAvailable: Bool { isInCI || program != nil }
    static let absence: Comment = "there is no redis-server here"

    private static let isInCI = ProcessInfo.processInfo.environment["CI"] != nil
    private static let program: String? = {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { "\($0)/redis-server" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    let address: RedisAddress
    private let process: Int32

    init() throws {
        let program = try #require(Self.program, Self.absence)
        // Another process may take the port in between, which redis-server says by ending.
        for _ in 0..<20 {
            let port = UInt16.random(in: 10_000..<32_000)
            let redis = Process()
            redis.executableURL = URL(fileURLWithPath: program)
            redis.arguments = ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            redis.standardOutput = FileHandle.nullDevice
            try redis.run()
            while redis.isRunning {
                if (try? RedisConnection(host: "127.0.0.1", port: port, timeout: .seconds(5)).call(["PING"])) != nil {
                    address = try #require(RedisAddress("redis://127.0.0.1:\(port)/room"))
                    process = redis.processIdentifier
                    return
                }
                usleep(1000)
            }
        }
        throw RedisError(description: "redis-server does not start")
    }

    deinit {
        kill(process, SIGKILL)
    }

    /// Stops it where it is: its connections stay, and get no answer.
    func freeze() { kill(process, SIGSTOP) }

    func thaw() { kill(process, SIGCONT) }

    @discardableResult
    func ask(_ command: String...) throws -> RedisReply {
        try RedisConnection(host: address.host, port: address.port, timeout: .seconds(20)).call(command)
    }
}

// MARK: - A room

extension LocalRedis {
    /// Makes a room from the beginning of time on with so many messages, the n-th of the millisecond n.
    func makeRoom(messages count: Int) throws -> RedisStream {
        try ask("SET", "room:begun", "0000000000000000000")
        for number in 1...count { try add(number) }
        return try RedisStream(at: RedisHost(address))
    }

    /// Adds the message of the millisecond `number`, whose text it is.
    func add(_ number: Int) throws {
        try ask("XADD", "room", "\(number)-0", "a", "Ivan", "t", "\(number)")
    }
}

extension RedisStream {
    /// How far a server has come that has seen all that there is.
    func progress() throws -> RedisProgress {
        let snapshot = try snapshot(after: .zero, atMost: 1)
        return RedisProgress(StreamWatch(snapshot), heldAfter: try #require(snapshot.heldAfter))
    }
}
