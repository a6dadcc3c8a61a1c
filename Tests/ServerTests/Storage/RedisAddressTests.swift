import Testing

@testable import Server

@Suite struct RedisAddressTests {
    @Test func everyPart() throws {
        let address = try #require(RedisAddress("redis://ivan:pa:ss@example.org:7000/the/room"))
        #expect((address.host, address.port, address.key) == ("example.org", 7000, "the/room"))
        #expect(address.credentials == ["ivan", "pa:ss"])
        #expect(address.description == "redis://ivan:***@example.org:7000/the/room")
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
            ("rediss://host/room", .tls), ("REDISS://host/room", .tls),
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
            ("redis://:%ff@host/room", .notText), ("redis://host/%c3", .notText),
        ] as [(String, RedisAddress.Flaw)]
    )
    func isNone(_ text: String, _ flaw: RedisAddress.Flaw) {
        #expect(RedisAddress(text) == nil)
        let error = #expect(throws: RedisAddress.Flaw.self) { try RedisAddress(parsing: text) }
        #expect(error?.description == flaw.description)
    }
}
