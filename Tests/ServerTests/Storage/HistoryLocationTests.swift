import Dispatch
import Glibc
import Messenger
import Synchronization
import Testing

@testable import Server

@Suite struct HistoryLocationTests {
    @Test(arguments: ["memory:", "sqlite:history.db", "sqlite:/var/lib/messenger/a:b.db"])
    func validLocations(_ text: String) {
        #expect(HistoryLocation(settingText: text)?.settingText == text)
    }

    @Test(arguments: ["", "memory", "memory:x", "sqlite", "sqlite:", "file:x", "Sqlite:x", "sqlite:a\u{0}b"])
    func invalidLocations(_ text: String) {
        #expect(HistoryLocation(settingText: text) == nil)
    }

    @Test func anInvalidRedisAddressIsExplained() {
        #expect(HistoryLocation.objection(to: "redis://host/0") == RedisAddress.ParseError.number.description)
        #expect(HistoryLocation.objection(to: "rediss://host/0") == RedisAddress.ParseError.number.description)
        #expect(HistoryLocation.objection(to: "file:x") == nil)
    }
}

@Suite struct RedisAddressTests {
    @Test func allParts() throws {
        let address = try #require(RedisAddress("redis://ivan:pa:ss@example.org:7000/the/room"))
        #expect((address.host, address.port, address.key) == ("example.org", 7000, "the/room"))
        #expect(address.credentials == ["ivan", "pa:ss"])
        #expect(address.description == "redis://ivan:***@example.org:7000/the/room")
    }

    @Test func schemes() throws {
        #expect(try !#require(RedisAddress("redis://host/room")).usesTLS)
        let address = try #require(RedisAddress("REDISS://:secret@host/room"))
        #expect(address.usesTLS)
        #expect(address.description == "rediss://:***@host:6379/room")
    }

    @Test func defaults() throws {
        let address = try #require(RedisAddress("redis://[::1]/room"))
        #expect((address.host, address.port, address.key) == ("::1", 6379, "room"))
        #expect(address.credentials == nil)
        #expect(address.description == "redis://[::1]:6379/room")
        #expect(try #require(RedisAddress("redis://:secret@host/room")).credentials == ["secret"])
    }

    @Test(
        arguments: [
            ("REDIS://host/room", "host", 6379, "room", nil),
            ("redis://[fe80::1%eth0]:1/room", "fe80::1%eth0", 1, "room", nil),
            ("redis://host:65535/room%20%231", "host", 65535, "room #1", nil),
            ("redis://host/a%40b", "host", 6379, "a@b", nil),
            ("redis://host/room2", "host", 6379, "room2", nil),
            ("redis://iv%3Aan:p%40ss%2Fw%3ard%25@host/room", "host", 6379, "room", ["iv:an", "p@ss/w:rd%"]),
            ("redis://:p@ss@host/room", "host", 6379, "room", ["p@ss"]),
            ("redis://ivan:a?b#c@host/room", "host", 6379, "room", ["ivan", "a?b#c"]),
            ("redis://:%C3%A9%00@host/room", "host", 6379, "room", ["é\u{0}"]),
        ] as [(String, String, UInt16, String, [String]?)]
    )
    func otherForms(_ text: String, host: String, port: UInt16, key: String, credentials: [String]?) throws {
        let address = try RedisAddress(parsing: text)
        #expect((address.host, address.port, address.key) == (host, port, key))
        #expect(address.credentials == credentials)
    }

    @Test(
        arguments: [
            ("", .form), ("redis://", .host), ("redis:host/room", .form), ("http://host/room", .form),
            ("redisss://host/room", .form), ("rediss://host", .noKey),
            ("redis://host", .noKey), ("redis://host/", .noKey),
            ("redis://host/0", .number), ("redis://host/007", .number), ("redis://host/0/room", .number),
            ("redis://host/%30", .number),
            ("redis://host/room@1", .atSign), ("redis://ivan:pass/word@host/room", .atSign),
            ("redis://host/room?db=1", .query), ("redis://host/room#1", .query),
            ("redis://host//room", .slash), ("redis://host/room/", .slash), ("redis://host/room%0A", .control),
            ("redis:///room", .host), ("redis://ho^st/room", .host), ("redis://хост/room", .host),
            ("redis://ho st/room", .space), ("redis://host/room\n", .space), ("redis://host/ro\u{0}om", .space),
            ("redis://host:0/room", .port), ("redis://host:/room", .port), ("redis://host:x/room", .port),
            ("redis://host:70000/room", .port), ("redis://host:+1/room", .port), ("redis://host:-1/room", .port),
            ("redis://[::1]1/room", .port),
            ("redis://::1/room", .brackets), ("redis://[::1/room", .brackets), ("redis://[host]/room", .brackets),
            ("redis://user@host/room", .noPassword), ("redis://user:@host/room", .noPassword),
            ("redis://@host/room", .noPassword), ("redis://:@host/room", .noPassword),
            ("redis://:100%@host/room", .percent), ("redis://:%4@host/room", .percent),
            ("redis://:%zz@host/room", .percent),
            ("redis://:%+1@host/room", .percent), ("redis://host/%", .percent),
            ("redis://:%ff@host/room", .notUTF8), ("redis://host/%c3", .notUTF8),
        ] as [(String, RedisAddress.ParseError)]
    )
    func invalidAddresses(_ text: String, _ expected: RedisAddress.ParseError) {
        #expect(RedisAddress(text) == nil)
        let error = #expect(throws: RedisAddress.ParseError.self) { try RedisAddress(parsing: text) }
        #expect(error?.description == expected.description)
    }
}

/// A name server that answers when the test says so.
private final class NameServer: Sendable {
    private struct State {
        var queryCount = 0
        var answers: [Result<[String], ResolverError>] = []
    }

    private let state = Mutex(State())
    private let answered = DispatchSemaphore(value: 0)

    var queryCount: Int { state.withLock { $0.queryCount } }

    func answer(_ answer: Result<[String], ResolverError>) {
        state.withLock { $0.answers.append(answer) }
        answered.signal()
    }

    func resolve(_ name: String) throws(ResolverError) -> [String] {
        state.withLock { $0.queryCount += 1 }
        answered.wait()
        return try state.withLock { $0.answers.removeFirst() }.get()
    }

    func resolver(timeout: Duration = .seconds(60), initialTimeout: Duration = .seconds(60)) -> HostResolver {
        HostResolver("redis", timeout: timeout, initialTimeout: initialTimeout) { name throws(ResolverError) in
            try self.resolve(name)
        }
    }
}

struct HostResolverTests {
    private let server = NameServer()
    private static let refusal = ResolverError(description: "no such host", isTemporary: false)

    @Test func currentAddresses() throws {
        let resolver = server.resolver()
        server.answer(.success(["10.0.0.1"]))
        #expect(try resolver.addresses() == ["10.0.0.1"])
        server.answer(.success(["10.0.0.2", "::2"]))
        #expect(try resolver.addresses() == ["10.0.0.2", "::2"])
    }

    @Test func cachedAddressesAfterATimeout() throws {
        let resolver = server.resolver(timeout: .milliseconds(20))
        defer { server.answer(.success([])) }
        server.answer(.success(["10.0.0.1"]))
        #expect(try resolver.addresses() == ["10.0.0.1"])
        #expect(try resolver.addresses() == ["10.0.0.1"])
        // The second query's thread may start after its timeout.
        while server.queryCount < 2 { sched_yield() }
        for _ in 0..<3 { #expect(try resolver.addresses() == ["10.0.0.1"]) }
        #expect(server.queryCount == 2, "one query at a time")
    }

    @Test func aTimeoutWithoutCachedAddresses() {
        let resolver = server.resolver(initialTimeout: .milliseconds(20))
        defer { server.answer(.success([])) }
        let error = #expect(throws: ResolverError.self) { try resolver.addresses() }
        #expect(error?.description == "no name server has answered for redis")
    }

    @Test func thereIsNoSuchHost() throws {
        let resolver = server.resolver()
        server.answer(.success(["10.0.0.1"]))
        _ = try resolver.addresses()
        server.answer(.failure(Self.refusal))
        #expect(throws: ResolverError.self) { try resolver.addresses() }
    }

    @Test func cachedAddressesAfterATemporaryError() throws {
        let resolver = server.resolver()
        server.answer(.success(["10.0.0.1"]))
        _ = try resolver.addresses()
        server.answer(.failure(.noAnswer("redis")))
        #expect(try resolver.addresses() == ["10.0.0.1"])
    }

    @Test(arguments: [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
    func theSystemResolvesAddresses(_ name: String, _ address: String) throws {
        #expect(try HostResolver.systemResolve(name) == [address])
    }

    @Test func theSystemResolvesNames() throws {
        #expect(try HostResolver.systemResolve("localhost") == ["127.0.0.1"])
    }
}
