import Foundation
import Messenger
import Redis
import Testing

@testable import Server

/// A redis-server for one test, without persistence. It ends with its last user.
final class LocalRedis: Sendable {
    /// In CI a missing redis-server is an error. A skipped test would go unnoticed there.
    static var isAvailable: Bool { isInCI || program != nil }
    static let absence: Comment = "there is no redis-server on the PATH"

    private static let isInCI = ProcessInfo.processInfo.environment["CI"] != nil
    private static let program: String? = {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { "\($0)/redis-server" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    let address: RedisAddress
    private let process: Int32

    init() throws {
        let program = try #require(Self.program, Self.absence)
        // If another process takes the port first, redis-server ends.
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

    /// Stops the process. Its connections stay open, and get no replies.
    func freeze() { kill(process, SIGSTOP) }

    func thaw() { kill(process, SIGCONT) }

    @discardableResult
    func call(_ command: String...) throws -> RedisReply {
        try RedisConnection(host: address.host, port: address.port, timeout: .seconds(20)).call(command)
    }
}

/// A room in a Redis of its own. Its n-th message has the time of the millisecond n, and that number as its text.
struct RedisRoom {
    let redis: LocalRedis
    let stream: RedisStream

    init(messages count: Int) throws {
        redis = try LocalRedis()
        try redis.call("SET", "room:begun", "0000000000000000000")
        stream = try RedisStream(at: RedisHost(redis.address))
        for number in 1...count { try add(number) }
    }

    func add(_ number: Int) throws {
        try redis.call("XADD", "room", "\(number)-0", "a", "Ivan", "t", "\(number)")
    }

    func time(_ number: Int64, plus nanoseconds: Int64 = 0) -> SendTime {
        SendTime(nanosecondsSinceEpoch: number * 1_000_000 + nanoseconds)
    }

    /// The state of a store that has read the whole stream.
    func state() throws -> RedisStoreState {
        let snapshot = try stream.snapshot(after: .zero, count: 1)
        let heldAfter = try #require(snapshot.heldAfter)
        return RedisStoreState(LossDetector(snapshot), heldAfter: heldAfter, now: try stream.now())
    }
}
