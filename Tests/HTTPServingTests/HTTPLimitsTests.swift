import Testing

@testable import HTTPServing

@Suite struct HTTPMemoryTests {
    @Test func noMoreIsReservedThanThereIs() {
        let memory = HTTPMemory(limit: 10)
        #expect(memory.reserve(6))
        #expect(!memory.reserve(5))
        #expect(memory.usedBytes == 6)
        memory.release(6)
        #expect(memory.reserve(10))
    }
}

@Suite struct HTTPDateTests {
    @Test func isAsHTTPHasIt() {
        #expect(HTTPDate.text(of: 0) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(HTTPDate.text(of: 1_631_442_322) == "Sun, 12 Sep 2021 10:25:22 GMT")
        #expect(HTTPDate.text(of: 253_402_300_799) == "Fri, 31 Dec 9999 23:59:59 GMT")
    }
}

extension HTTPConnectionTests {
    @Test func aHealthCheckIsAnsweredWithoutMemory() throws {
        try open()
        memory.add(memory.limit)
        try send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try received().hasSuffix("\r\n\r\n/health"))
        try send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try received().hasPrefix("HTTP/1.1 503"))
    }

    @Test func theRefusalOfAHostNameSaysHowToAllowIt() throws {
        try open()
        try send("GET /a HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0\r\n\r\n")
        #expect(try received().hasSuffix("Browsers may not use this host name; allow it with HOSTS."))
    }
}
