import Dispatch
import Glibc
import Redis
import Testing

@Suite(.timeLimit(.minutes(5)))
struct RedisConnectionTests {
    /// - Parameter answers: The peer's replies, one for each read.
    private func connection(_ answers: String..., timeout: Duration = .seconds(20)) throws -> RedisConnection {
        let peer = try ScriptedPeer(answers)
        return try RedisConnection(host: "127.0.0.1", port: peer.port, timeout: timeout)
    }

    @Test(
        arguments: [
            ("$-1\r\n", .null),
            (":-7\r\n", .integer(-7)),
            ("+PONG\r\n", .text("PONG")),
            ("$0\r\n\r\n", .text("")),
            ("$4\r\na\u{0}\r\n\r\n", .text("a\u{0}\r\n")),
            ("-OOM no memory\r\n", .error("OOM no memory")),
            ("*-1\r\n", .null),
            ("*0\r\n", .list([])),
            ("*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", .list([.list([.integer(1)]), .text("x")])),
        ] as [(String, RedisReply)]
    )
    func allKindsOfReplies(_ bytes: String, _ reply: RedisReply) throws {
        let connection = try connection(bytes)
        connection.queue(["PING"])
        #expect(try connection.reply() == reply)
    }

    @Test(arguments: [
        (["PING"], "*1\r\n$4\r\nPING\r\n"),
        (["SET", "", "naïve\u{0}\r\n"], "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$9\r\nnaïve\u{0}\r\n\r\n"),
        ([""], "*1\r\n$0\r\n\r\n"),
    ])
    func commandsOnTheWire(_ command: [String], _ bytes: String) throws {
        let peer = try ScriptedPeer(["+OK\r\n"], expecting: bytes)
        let connection = try RedisConnection(host: "127.0.0.1", port: peer.port, timeout: .seconds(20))
        #expect(try connection.call(command) == .text("OK"))
    }

    @Test func repliesArriveInOrder() throws {
        let connection = try connection(":1\r\n:2\r\n:3\r\n")
        for _ in 0..<3 { connection.queue(["INCR", "number"]) }
        #expect(try (0..<3).map { _ in try connection.reply().integer } == [1, 2, 3])
    }

    @Test func anErrorReplyIsThrown() throws {
        let error = #expect(throws: RedisError.self) { try connection("-ERR no\r\n").call(["PING"]) }
        #expect(error?.description == "ERR no")
    }

    @Test func anErrorDoesNotQuoteTheCommand() throws {
        let words = "-ERR unknown command 'AUTH', with args beginning with: 'ivan' 'secret' \r\n"
        let error = #expect(throws: RedisError.self) { try connection(words).call(["AUTH", "ivan", "secret"]) }
        #expect(error?.description == "ERR unknown command 'AUTH'")
        #expect(error?.code == "ERR")
    }

    @Test func aClosedConnectionFailsForGood() throws {
        let connection = try connection("+OK\r\n")
        #expect(try connection.call(["PING"]) == .text("OK"))
        for _ in 0..<3 { #expect(throws: RedisError.self) { try connection.call(["PING"]) } }
    }

    @Test func aConnectionKnowsThatItIsClosed() throws {
        let connection = try connection("+OK\r\n", "+BYE\r\n")
        #expect(try connection.call(["PING"]) == .text("OK"))
        #expect(!connection.isClosedByPeer)
        try connection.call(["QUIT"])
        while !connection.isClosedByPeer { usleep(1000) }
    }

    @Test func aSilentPeerTimesOut() throws {
        let connection = try connection("", "", timeout: .milliseconds(100))
        let error = #expect(throws: RedisError.self) { try connection.call(["PING"]) }
        #expect(error?.description == "Redis does not answer")
    }

    @Test func anInterruptEndsConnections() async throws {
        let peer = try ScriptedPeer(["", ""])
        let interrupt = RedisInterrupt()
        let waiting = Task.detached {
            let connection = try RedisConnection(
                host: "127.0.0.1",
                port: peer.port,
                timeout: .seconds(50),
                interrupt: interrupt
            )
            try connection.call(["PING"])
        }
        await peer.hasRead()
        interrupt.trigger()
        await #expect(throws: RedisError.self) { try await waiting.value }
        #expect(throws: RedisError.self) {
            try RedisConnection(host: "127.0.0.1", port: peer.port, timeout: .seconds(1), interrupt: interrupt)
        }
    }

    @Test func connectingFails() throws {
        #expect(throws: RedisError.self) { try RedisConnection(host: "127.0.0.1", port: 1, timeout: .seconds(1)) }
        #expect(throws: RedisError.self) {
            try RedisConnection(host: "no.such.host.invalid", port: 1, timeout: .seconds(1))
        }
    }
}

/// A peer that accepts one connection, and sends the next reply of its script for each read.
private struct ScriptedPeer {
    let port: UInt16
    private let firstRead = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - script: The replies. After the last one it closes the connection.
    ///   - expected: It closes the connection if it reads anything else; `nil` for anything.
    init(_ script: [String], expecting expected: String? = nil) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(listener >= 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        try #require(bound)
        port = UInt16(bigEndian: address.sin_port)
        DispatchQueue(label: "peer").async { [firstRead] in
            let connection = accept(listener, nil, nil)
            close(listener)
            var commands = [UInt8](repeating: 0, count: 1 << 16)
            for answer in script {
                let count = read(connection, &commands, commands.count)
                firstRead.signal()
                guard count > 0, expected.map({ $0.utf8.elementsEqual(commands.prefix(count)) }) ?? true else { break }
                _ = Array(answer.utf8).withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
            }
            close(connection)
        }
    }

    /// Waits until it has read something.
    func hasRead() async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                firstRead.wait()
                continuation.resume()
            }
        }
    }
}
