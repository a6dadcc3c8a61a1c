import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import HTTPServing

/// What is read late or never, and how connections end.
extension HTTPConnectionTests {
    // MARK: HTTP/1.0

    @Test func http10EndsWithItsResponse() throws {
        try open()
        try send("GET /a HTTP/1.0\r\n\r\n")
        #expect(try received().hasPrefix("HTTP/1.0 200 OK\r\n"))
        #expect(!channel.isActive)
    }

    @Test func http10GoesOnWhenItIsAskedTo() throws {
        try open()
        for _ in 0..<2 {
            try send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try received().contains("\r\nConnection: keep-alive\r\n"))
        }
    }

    @Test func http10KnowsNoChunks() throws {
        try open(reply: Self.inParts)
        try send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        let received = try received()
        #expect(received.hasSuffix("\r\n\r\n[1,2]"))
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(!channel.isActive)
    }

    // MARK: Expect: 100-continue

    @Test(arguments: ["100-continue", "100-Continue"], ["Content-Length: 100", "Transfer-Encoding: chunked"])
    func whoeverAsksMayGoAhead(expectation: String, length: String) throws {
        try open()
        try send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: \(expectation)\r\n\(length)\r\n\r\n")
        #expect(try received() == "HTTP/1.1 100 Continue\r\n\r\n")
    }

    @Test(arguments: [
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
        "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    ])
    func whoeverDoesNotAskIsNotTold(request: String) throws {
        try open()
        try send(request)
        #expect(try received() == "")
    }

    @Test func aBodyThatIsTooLongIsNotWelcome() throws {
        try open()
        try send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n")
        let received = try received()
        #expect(received.hasPrefix("HTTP/1.1 413 "))
        // Whether the body comes nevertheless cannot be known.
        #expect(received.contains("\r\nConnection: close\r\n"))
    }

    // MARK: Times

    @Test func aRequestThatTakesTooLongIsAnsweredAndCutOff() throws {
        try open()
        try send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        advance(by: .seconds(29))
        // A byte now and then gains no time.
        try send("x")
        #expect(try received() == "")
        advance(by: .seconds(1))
        #expect(try received().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(!channel.isActive)
    }

    @Test func aRequestThatCameInPartBeforeItsTurnHasItsTimeFromThen() throws {
        try open(reply: later.reply(to:))
        try send(Self.requestForLater + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        advance(by: .seconds(31))
        respondLater()
        #expect(try received().hasSuffix("\r\n\r\nlater"))
        advance(by: .seconds(29))
        #expect(try received() == "")
        advance(by: .seconds(1))
        #expect(try received().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
    }

    @Test func aRequestThatWaitsForItsResponseIsLeftAlone() throws {
        try open(reply: later.reply(to:))
        try send(Self.requestForLater)
        advance(by: .seconds(100))
        #expect(channel.isActive)
    }

    @Test func aPeerThatDoesNotReadIsCutOff() throws {
        try open()
        setWritable(false)
        advance(by: .seconds(58))
        #expect(channel.isActive)
        advance(by: .seconds(3))
        #expect(!channel.isActive)
    }

    // MARK: Long bodies

    @Test func nothingIsAnsweredWhileThePeerTakesNothing() throws {
        try open()
        setWritable(false)
        let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        try send(request + request)
        #expect(try received() == "")
        setWritable(true)
        #expect(try received().matches(of: /HTTP\/1.1 200 OK/).count == 2)
    }

    /// And it lets the event loop's other connections have their turn.
    @Test func aLongBodyWaitsForItsPeer() throws {
        let numbers = 1...20
        try open { request in
            let parts = numbers.map { ByteBuffer(string: "\($0),") }
            return .response(HTTPResponse(body: ByteBuffer(string: request.path), chunks: parts.makeIterator()))
        }
        let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        try send(request + request)
        #expect(try received().hasSuffix("7,\r\n"))
        setWritable(false)
        channel.embeddedEventLoop.run()
        #expect(try received() == "")
        setWritable(true)
        #expect(try received().hasSuffix("15,\r\n"))
        channel.embeddedEventLoop.run()
        let received = try received()
        #expect(received.contains("20,\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"))
        #expect(received.hasSuffix("20,\r\n0\r\n\r\n"))
    }

    // MARK: Shutdown

    @Test func whatComesAfterTheLastRequestIsNoError() throws {
        try open()
        try send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        stop()
        try? send("0123456789nonsense")
        let received = try received()
        #expect(received.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(received.hasSuffix("\r\n\r\n/a"))
        #expect(!channel.isActive)
    }

    /// Cut short by its peer's end, it is an error that the pipeline's handler hands on from within the last response's end.
    @Test func halfARequestAfterTheLastIsNotAnswered() throws {
        try open(reply: later.reply(to:))
        try send(Self.requestForLater + "nonsense\r\n\r\n")
        stop()
        respondLater()
        let received = try received()
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(received.hasSuffix("\r\n\r\nlater"))
        #expect(!channel.isActive)
    }

    @Test func whoeverOwesARequestIsNotWaitedFor() throws {
        try open()
        try send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(channel.isActive)
        stop()
        #expect(!channel.isActive)
    }

    @Test func aResponseUnderWayIsFinished() throws {
        try open { _ in
            let parts = (1...20).map { ByteBuffer(string: "\($0),") }
            return .response(HTTPResponse(body: ByteBuffer(), chunks: parts.makeIterator()))
        }
        try send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        stop()
        channel.embeddedEventLoop.run()
        #expect(try received().hasSuffix("20,\r\n0\r\n\r\n"))
        #expect(!channel.isActive)
    }
}
