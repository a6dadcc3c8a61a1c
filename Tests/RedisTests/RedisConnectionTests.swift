import Glibc
import Redis
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RedisConnectionTests {
    /// - Parameter answers: What stands in for Redis answers to each piece that it reads.
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
    func everyKindOfReply(_ bytes: String, _ reply: RedisReply) throws {
        let connection = try connection(bytes)
        connection.send(["PING"])
        #expect(try connection.reply() == reply)
    }

    @Test(arguments: [
        (["PING"], "*1\r\n$4\r\nPING\r\n"),
        (["SET", "", "naïve\u{0}\r\n"], "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$9\r\nnaïve\u{0}\r\n\r\n"),
        ([""], "*1\r\n$0\r\n\r\n"),
    ])
    func aCommandIsSentWordByWord(_ command: [String], _ bytes: String) throws {
        let peer = try ScriptedPeer(["+OK\r\n"], expecting: bytes)
        let connection = try RedisConnection(host: "127.0.0.1", port: peer.port, timeout: .seconds(20))
        #expect(try connection.call(command) == .text("OK"))
    }

    @Test func answersComeInTheOrderOfTheCommands() throws {
        let connection = try connection(":1\r\n:2\r\n:3\r\n")
        for _ in 0..<3 { connection.send(["INCR", "number"]) }
        #expect(try (0..<3).map { _ in try connection.reply().integer } == [1, 2, 3])
    }

    @Test func whatACallIsRefusedIsThrown() throws {
        let error = #expect(throws: RedisError.self) { try connection("-ERR no\r\n").call(["PING"]) }
        #expect(error?.description == "ERR no")
    }

    @Test func whatACallIsRefusedQuotesNoWordOfIt() throws {
        let words = "-ERR unknown command 'AUTH', with args beginning with: 'ivan' 'secret' \r\n"
        let error = #expect(throws: RedisError.self) { try connection(words).call(["AUTH", "ivan", "secret"]) }
        #expect(error?.description == "ERR unknown command 'AUTH'")
        #expect(error?.code == "ERR")
    }

    @Test func aConnectionThatHasEndedFailsForGood() throws {
        let connection = try connection("+OK\r\n")
        #expect(try connection.call(["PING"]) == .text("OK"))
        for _ in 0..<3 { #expect(throws: RedisError.self) { try connection.call(["PING"]) } }
    }

    @Test func aConnectionKnowsThatItHasEnded() throws {
        let connection = try connection("+OK\r\n", "+BYE\r\n")
        #expect(try connection.call(["PING"]) == .text("OK"))
        #expect(!connection.hasEnded)
        try connection.call(["QUIT"])
        while !connection.hasEnded { usleep(1000) }
    }

    @Test func aConnectionThatSaysNothingFailsInTime() throws {
        let connection = try connection("", "", timeout: .milliseconds(100))
        let error = #expect(throws: RedisError.self) { try connection.call(["PING"]) }
        #expect(error?.description == "Redis does not answer")
    }

    @Test func whoWaitsInAConnectionIsInterrupted() async throws {
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

    @Test func aPlaceWithoutRedisIsRefused() throws {
        #expect(throws: RedisError.self) { try RedisConnection(host: "127.0.0.1", port: 1, timeout: .seconds(1)) }
        #expect(throws: RedisError.self) {
            try RedisConnection(host: "no.such.host.invalid", port: 1, timeout: .seconds(1))
        }
    }
}
