import NIOCore
import NIOEmbedded
import NIOHTTP1
import Synchronization
import Testing

@testable import HTTPServing

/// A connection by itself: bytes in, bytes out, and a clock that stands still until it is told.
@Suite struct HTTPConnectionTests {
    private static let limits = HTTPLimits(
        idleTimeout: .seconds(120),
        requestTimeout: .seconds(30),
        bodyBytes: 100,
        connections: 9,
        memoryBytes: 16 << 20
    )

    private let channel = EmbeddedChannel()
    private let memory = HTTPMemory(limit: Self.limits.memoryBytes)
    private let connections = HTTPConnections(limits: Self.limits)
    private let later = Later()

    private func open(reply: @escaping @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply = Self.echoPath) throws
    {
        let server = HTTPServer(
            routes: Self.paths.map { HTTPRoute($0, [.GET, .HEAD, .POST, .CONNECT], answer: reply) },
            limits: Self.limits,
            memory: memory,
            allowedHosts: [],
            errorBody: { ByteBuffer(string: $0) }
        )
        try server.addHandlers(to: channel, connections)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private static let paths = ["/", "/a", "/b", "/c", "/hey", "/later", "/next", "a:1"]

    fileprivate static func echoPath(_ request: HTTPRequest) -> HTTPReply {
        .response(HTTPResponse(body: ByteBuffer(string: request.path)))
    }

    private func send(_ text: String) throws {
        try channel.writeInbound(ByteBuffer(string: text))
    }

    private func received() throws -> String {
        var text = ""
        while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
        return text
    }

    private func stop(forced: Bool = false) {
        connections.stop(forced: forced)
        channel.embeddedEventLoop.run()
    }

    private func advance(by time: TimeAmount) {
        channel.embeddedEventLoop.advanceTime(by: time)
    }

    private func setWritable(_ isWritable: Bool) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }

    /// Answers `/later` when it is told to, and the other paths at once.
    private final class Later: Sendable {
        private let begun = Mutex<(@Sendable (Result<HTTPResponse, HTTPFailure>) -> Void)?>(nil)

        func reply(to request: HTTPRequest) -> HTTPReply {
            guard request.path == "/later" else { return HTTPConnectionTests.echoPath(request) }
            return .callback { respond in
                self.begun.withLock { $0 = respond }
                return { self.respond("given up") }
            }
        }

        func respond(_ text: String) {
            begun.withLock { $0.take() }?(.success(HTTPResponse(body: ByteBuffer(string: text))))
        }
    }

    private func respondLater(_ text: String = "later") {
        later.respond(text)
        channel.embeddedEventLoop.run()
    }

    private static let requestForLater = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test func whatIsUnderWayIsGivenUpAndAnsweredBeforeTheConnectionIsClosed() throws {
        let paths = Mutex<[String]>([])
        try open { [later] request in
            paths.withLock { $0.append(request.path) }
            return later.reply(to: request)
        }
        try send(Self.requestForLater + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        stop(forced: true)
        channel.embeddedEventLoop.run()
        let received = try received()
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(received.hasSuffix("\r\n\r\ngiven up"))
        #expect(paths.withLock { $0 } == ["/later"])
        #expect(!channel.isActive)
    }

    @Test func aConnectionWithNothingUnderWayIsClosedAtOnce() throws {
        try open(reply: later.reply(to:))
        stop(forced: true)
        #expect(!channel.isActive)
    }

    /// A message that is on its way goes on without whoever sent it, and the program's end waits for it.
    @Test func aConnectionIsOverWhenNothingIsUnderWayForIt() throws {
        try open(reply: later.reply(to:))
        try send(Self.requestForLater)
        _ = try channel.finish()
        stop()
        #expect(!connections.isEmpty)
        respondLater()
        #expect(connections.isEmpty)
    }

    // MARK: Requests

    @Test func aResponseSaysWhatItIs() throws {
        try open()
        try send("GET /hey?x HTTP/1.1\r\nHost: a\r\n\r\n")
        let pattern =
            /HTTP\/1.1 200 OK\r\nContent-Type: application\/json\r\nContent-Length: 4\r\nDate: .{29}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=114\r\n\r\n\/hey/
        #expect(try received().wholeMatch(of: pattern) != nil)
        #expect(channel.isActive)
    }

    /// All of them wait for the first response. Each one that is sent lets the next request through, whose response is there
    /// at once.
    @Test func anEndlessRowOfRequestsIsAnsweredInOrder() throws {
        try open { [later] request in
            guard let query = request.head.uri.firstIndex(of: "?") else { return later.reply(to: request) }
            return .response(HTTPResponse(body: ByteBuffer(substring: request.head.uri[query...])))
        }
        let count = 20_000
        try send(Self.requestForLater + (0..<count).map { "GET /a?\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
        #expect(try received() == "")
        respondLater()
        let paths = try received().matches(of: /\r\n\r\n\?(\d+)/).map { Int($0.1) }
        #expect(paths == Array(0..<count))
    }

    /// So what waits is no more than what was read at once.
    @Test func noMoreIsReadWhileSomethingWaitsForItsTurn() throws {
        let reads = Reads()
        try channel.pipeline.syncOperations.addHandler(reads)
        try open(reply: later.reply(to:))
        try send(Self.requestForLater)
        channel.read()
        let before = reads.count
        try send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        channel.read()
        #expect(reads.count == before)
        respondLater()
        #expect(reads.count == before + 1)
        #expect(try received().hasSuffix("\r\n\r\n/next"))
    }

    /// Counts what is asked for.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = Never
        private(set) var count = 0

        func read(context: ChannelHandlerContext) {
            count += 1
            context.read()
        }
    }

    @Test(arguments: [
        "POST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n" + String(repeating: "x", count: 101),
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n" + String(repeating: "x", count: 51)
            + "\r\n33\r\n" + String(repeating: "x", count: 51) + "\r\n0\r\n\r\n",
    ])
    func aRequestThatIsRefusedInItsTurnIsNotTaken(request: String) throws {
        let paths = Mutex<[String]>([])
        try open { [later] request in
            paths.withLock { $0.append(request.path) }
            return later.reply(to: request)
        }
        try send(Self.requestForLater + request + "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
        respondLater()
        #expect(try received().matches(of: /HTTP\/1.1 (\d+)/).map { $0.1 }.first == "200")
        #expect(paths.withLock { $0 } == ["/later"])
        #expect(!channel.isActive)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    ])
    func whatIsNoHTTP11EndsTheConnection(request: String) throws {
        try open()
        try send(request)
        #expect(try received().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(!channel.isActive)
    }

    @Test func whatFollowsTheLastRequestIsNotLookedAt() throws {
        try open()
        try send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        let received = try received()
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(received.hasSuffix("\r\n\r\n/a"))
        #expect(!channel.isActive)
    }

    @Test func aBodyThatGetsTooLongIsAnsweredAtOnce() throws {
        try open()
        try send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = "32\r\n" + String(repeating: "x", count: 50) + "\r\n"
        try send(chunk + chunk)
        #expect(try received() == "")
        try send(chunk)
        let received = try received()
        #expect(received.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"))
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(!channel.isActive)
    }

    @Test func whatNeverEndsIsRefused() throws {
        try open(reply: later.reply(to:))
        try send(Self.requestForLater)
        respondLater()
        try send("GET / HTTP/1.1\r\nHost:")
        for _ in 0..<40 { try? send(String(repeating: " ", count: 1024)) }
        let statuses = try received().matches(of: /HTTP\/1.1 (\d+)/).map { $0.1 }
        #expect(statuses == ["200", "431"])
        #expect(!channel.isActive)
    }

    /// What the decoder cannot make anything of yet, it holds.
    @Test(arguments: [
        "GET /", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n",
    ])
    func whatNeverEndsIsNotHeld(beginning: String) throws {
        try open()
        try? send(beginning)
        for _ in 0..<40 { try? send(String(repeating: " ", count: 1024)) }
        #expect(!channel.isActive)
    }

    @Test(arguments: [false, true])
    func whatIsNoRequestHasItsTurn(isPeerDone: Bool) throws {
        try open(reply: later.reply(to:))
        try send(Self.requestForLater + "nonsense\r\n\r\n")
        try send("more nonsense\r\n\r\n")
        if isPeerDone { channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        #expect(try received() == "")
        respondLater()
        let received = try received()
        #expect(received.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(received.contains("HTTP/1.1 400 Bad Request\r\n"))
        #expect(!channel.isActive)
    }

    /// As nothing could follow it: NIO's decoder waits for another one to take its place.
    @Test(arguments: [
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c", "CONNECT a:1 HTTP/1.1\r\nHost: a",
    ])
    func aRequestForAnotherProtocolEndsTheConnection(request: String) throws {
        try open()
        try send(request + "\r\n\r\n")
        #expect(try received().contains("\r\nConnection: close\r\n"))
        #expect(!channel.isActive)
    }

    @Test(arguments: ["GET", "HEAD"])
    func aLongBodyComesInChunks(method: String) throws {
        try open(reply: Self.inParts)
        try send("\(method) /a HTTP/1.1\r\nHost: a\r\n\r\n")
        let received = try received()
        let (_, head, body) = try #require(received.wholeMatch(of: /(.*?\r\n\r\n)(.*)/.dotMatchesNewlines())).output
        #expect(head.contains("\r\nTransfer-Encoding: chunked\r\n") == (method != "HEAD"))
        #expect(!head.contains("Content-Length"))
        #expect(body == (method == "HEAD" ? "" : "2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n"))
    }

    private static func inParts(_ request: HTTPRequest) -> HTTPReply {
        .response(
            HTTPResponse(
                body: ByteBuffer(string: "[1"),
                chunks: [",2", "]"].lazy.map(ByteBuffer.init(string:)).makeIterator()
            )
        )
    }

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
        #expect(try received().hasSuffix("\r\nConnection: close\r\n\r\nlater"))
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

extension HTTPRequest {
    fileprivate var path: String { String(head.path) ?? "" }
}
