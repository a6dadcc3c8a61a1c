import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Synchronization
import Testing

@testable import Client

/// A connection by itself: bytes in, bytes out, and a clock that stands still until it is told.
@Suite struct HTTPConnectionTests {
    private let channel = EmbeddedChannel()
    private let memory = HTTPMemory(limit: 16 << 20)
    private let connections = HTTPConnections(maximum: 9, reserve: 9)

    private let later = Later()

    private func open(reply: @escaping @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply = Self.echoPath) throws
    {
        let service = HTTPService(
            route: { _ in Route(path: "", methods: [], answer: reply) },
            limits: try ClientSettings.forTests().httpLimits,
            memory: self.memory,
            allowedHosts: .none,
            greatestBodyBytes: 100,
            opening: Gate(),
            openTimeout: .seconds(1)
        )
        try HTTPServer.setUp(self.channel, service, self.connections)
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    fileprivate static func echoPath(_ request: HTTPRequest) -> HTTPReply {
        .now(HTTPResponse(body: ByteBuffer(string: request.path)))
    }

    private func send(_ text: String) throws {
        try self.channel.writeInbound(ByteBuffer(string: text))
    }

    private func received() throws -> String {
        var text = ""
        while let part = try self.channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
        return text
    }

    private func advance(by time: TimeAmount) {
        self.channel.embeddedEventLoop.advanceTime(by: time)
    }

    private func setWritable(_ isWritable: Bool) {
        self.channel.isWritable = isWritable
        self.channel.pipeline.fireChannelWritabilityChanged()
    }

    /// Answers `/later` when it is told to, and the other paths at once.
    private final class Later: Sendable {
        private let begun = Mutex<(@Sendable (HTTPResponse) -> Void)?>(nil)

        func reply(to request: HTTPRequest) -> HTTPReply {
            guard request.path == "/later" else { return HTTPConnectionTests.echoPath(request) }
            return .later { respond in
                self.begun.withLock { $0 = respond }
                return { self.respond("given up") }
            }
        }

        func respond(_ text: String) {
            self.begun.withLock { $0.take() }?(HTTPResponse(body: ByteBuffer(string: text)))
        }
    }

    private func respondLater(_ text: String = "later") {
        self.later.respond(text)
        self.channel.embeddedEventLoop.run()
    }

    private static let requestForLater = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test func whatIsUnderWayIsGivenUpAndAnsweredBeforeTheConnectionIsClosed() throws {
        let paths = Mutex<[String]>([])
        try self.open { [later] request in
            paths.withLock { $0.append(request.path) }
            return later.reply(to: request)
        }
        try self.send(Self.requestForLater + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        try self.channel.pipeline.syncOperations.handler(type: HTTPHandler.self).cancel()
        self.channel.embeddedEventLoop.run()
        let received = try self.received()
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(received.hasSuffix("\r\n\r\ngiven up"))
        #expect(paths.withLock { $0 } == ["/later"])
        #expect(!self.channel.isActive)
    }

    @Test func aConnectionWithNothingUnderWayIsClosedAtOnce() throws {
        try self.open(reply: self.later.reply(to:))
        try self.channel.pipeline.syncOperations.handler(type: HTTPHandler.self).cancel()
        #expect(!self.channel.isActive)
    }

    /// A message that is on its way goes on without whoever sent it, and the program's end waits for it.
    @Test func aConnectionIsOverWhenNothingIsUnderWayForIt() throws {
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater)
        _ = try self.channel.finish()
        self.connections.quiesce()
        #expect(!self.connections.over.isOpen)
        self.respondLater()
        #expect(self.connections.over.isOpen)
    }

    // MARK: Requests

    @Test func aResponseSaysWhatItIs() throws {
        try self.open()
        try self.send("GET /hey?x HTTP/1.1\r\nHost: a\r\n\r\n")
        let pattern =
            /HTTP\/1.1 200 OK\r\nContent-Type: application\/json\r\nContent-Length: 4\r\nDate: .{29}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=114\r\n\r\n\/hey/
        #expect(try self.received().wholeMatch(of: pattern) != nil)
        #expect(self.channel.isActive)
    }

    /// All of them wait for the first response. Each one that is sent lets the next request through, whose response is there
    /// at once.
    @Test func anEndlessRowOfRequestsIsAnsweredInOrder() throws {
        try self.open(reply: self.later.reply(to:))
        let count = 20_000
        try self.send(Self.requestForLater + (0..<count).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
        #expect(try self.received() == "")
        self.respondLater()
        let paths = try self.received().matches(of: /\r\n\r\n\/(\d+)/).map { Int($0.1) }
        #expect(paths == Array(0..<count))
    }

    /// So what waits is no more than what was read at once.
    @Test func noMoreIsReadWhileSomethingWaitsForItsTurn() throws {
        let reads = Reads()
        try self.channel.pipeline.syncOperations.addHandler(reads)
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater)
        self.channel.read()
        let before = reads.count
        try self.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        self.channel.read()
        #expect(reads.count == before)
        self.respondLater()
        #expect(reads.count == before + 1)
        #expect(try self.received().hasSuffix("\r\n\r\n/next"))
    }

    /// Counts what is asked for.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = Never
        private(set) var count = 0

        func read(context: ChannelHandlerContext) {
            self.count += 1
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
        try self.open { [later] request in
            paths.withLock { $0.append(request.path) }
            return later.reply(to: request)
        }
        try self.send(Self.requestForLater + request + "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
        self.respondLater()
        #expect(try self.received().matches(of: /HTTP\/1.1 (\d+)/).map { $0.1 }.first == "200")
        #expect(paths.withLock { $0 } == ["/later"])
        #expect(!self.channel.isActive)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    ])
    func whatIsNoHTTP11EndsTheConnection(request: String) throws {
        try self.open()
        try self.send(request)
        #expect(try self.received().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(!self.channel.isActive)
    }

    @Test func whatFollowsTheLastRequestIsNotLookedAt() throws {
        try self.open()
        try self.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        let received = try self.received()
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(received.hasSuffix("\r\n\r\n/a"))
        #expect(!self.channel.isActive)
    }

    @Test func aBodyThatGetsTooLongIsAnsweredAtOnce() throws {
        try self.open()
        try self.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = "32\r\n" + String(repeating: "x", count: 50) + "\r\n"
        try self.send(chunk + chunk)
        #expect(try self.received() == "")
        try self.send(chunk)
        let received = try self.received()
        #expect(received.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"))
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(!self.channel.isActive)
    }

    @Test func whatNeverEndsIsRefusedInItsTurn() throws {
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater + "GET / HTTP/1.1\r\nHost:")
        for _ in 0..<40 { try self.send(String(repeating: " ", count: 1024)) }
        #expect(try self.received() == "")
        self.respondLater()
        let statuses = try self.received().matches(of: /HTTP\/1.1 (\d+)/).map { $0.1 }
        #expect(statuses == ["200", "431"])
        #expect(!self.channel.isActive)
    }

    /// What the decoder cannot make anything of yet, it holds.
    @Test(arguments: [
        "GET /", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n",
    ])
    func whatNeverEndsIsNotHeld(beginning: String) throws {
        try self.open()
        try? self.send(beginning)
        for _ in 0..<40 { try? self.send(String(repeating: " ", count: 1024)) }
        #expect(!self.channel.isActive)
    }

    @Test(arguments: [false, true])
    func whatIsNoRequestHasItsTurn(isPeerDone: Bool) throws {
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater + "nonsense\r\n\r\n")
        try self.send("more nonsense\r\n\r\n")
        if isPeerDone { self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        #expect(try self.received() == "")
        self.respondLater()
        let received = try self.received()
        #expect(received.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(received.contains("HTTP/1.1 400 Bad Request\r\n"))
        #expect(!self.channel.isActive)
    }

    /// As nothing could follow it: NIO's decoder waits for another one to take its place.
    @Test(arguments: [
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c", "CONNECT a:1 HTTP/1.1\r\nHost: a",
    ])
    func aRequestForAnotherProtocolEndsTheConnection(request: String) throws {
        try self.open()
        try self.send(request + "\r\n\r\n")
        #expect(try self.received().contains("\r\nConnection: close\r\n"))
        #expect(!self.channel.isActive)
    }

    @Test(arguments: ["GET", "HEAD"])
    func aLongBodyComesInChunks(method: String) throws {
        try self.open(reply: Self.inParts)
        try self.send("\(method) /a HTTP/1.1\r\nHost: a\r\n\r\n")
        let received = try self.received()
        let (_, head, body) = try #require(received.wholeMatch(of: /(.*?\r\n\r\n)(.*)/.dotMatchesNewlines())).output
        #expect(head.contains("\r\nTransfer-Encoding: chunked\r\n") == (method != "HEAD"))
        #expect(!head.contains("Content-Length"))
        #expect(body == (method == "HEAD" ? "" : "2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n"))
    }

    private static func inParts(_ request: HTTPRequest) -> HTTPReply {
        .now(
            HTTPResponse(
                body: ByteBuffer(string: "[1"),
                rest: [",2", "]"].lazy.map(ByteBuffer.init(string:)).makeIterator()
            )
        )
    }

    // MARK: HTTP/1.0

    @Test func http10EndsWithItsResponse() throws {
        try self.open()
        try self.send("GET /a HTTP/1.0\r\n\r\n")
        #expect(try self.received().hasPrefix("HTTP/1.0 200 OK\r\n"))
        #expect(!self.channel.isActive)
    }

    @Test func http10GoesOnWhenItIsAskedTo() throws {
        try self.open()
        for _ in 0..<2 {
            try self.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try self.received().contains("\r\nConnection: keep-alive\r\n"))
        }
    }

    @Test func http10KnowsNoChunks() throws {
        try self.open(reply: Self.inParts)
        try self.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        let received = try self.received()
        #expect(received.hasSuffix("\r\n\r\n[1,2]"))
        #expect(received.contains("\r\nConnection: close\r\n"))
        #expect(!self.channel.isActive)
    }

    // MARK: Expect: 100-continue

    @Test(arguments: ["100-continue", "100-Continue"], ["Content-Length: 100", "Transfer-Encoding: chunked"])
    func whoeverAsksMayGoAhead(expectation: String, length: String) throws {
        try self.open()
        try self.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: \(expectation)\r\n\(length)\r\n\r\n")
        #expect(try self.received() == "HTTP/1.1 100 Continue\r\n\r\n")
    }

    @Test(arguments: [
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
        "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    ])
    func whoeverDoesNotAskIsNotTold(request: String) throws {
        try self.open()
        try self.send(request)
        #expect(try self.received() == "")
    }

    @Test func aBodyThatIsTooLongIsNotWelcome() throws {
        try self.open()
        try self.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n")
        let received = try self.received()
        #expect(received.hasPrefix("HTTP/1.1 413 "))
        // Whether the body comes nevertheless cannot be known.
        #expect(received.contains("\r\nConnection: close\r\n"))
    }

    // MARK: Times

    @Test func aRequestThatTakesTooLongIsAnsweredAndCutOff() throws {
        try self.open()
        try self.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        self.advance(by: .seconds(29))
        // A byte now and then gains no time.
        try self.send("x")
        #expect(try self.received() == "")
        self.advance(by: .seconds(1))
        #expect(try self.received().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(!self.channel.isActive)
    }

    @Test func aRequestThatCameInPartBeforeItsTurnHasItsTimeFromThen() throws {
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        self.advance(by: .seconds(31))
        self.respondLater()
        #expect(try self.received().hasSuffix("\r\n\r\nlater"))
        self.advance(by: .seconds(29))
        #expect(try self.received() == "")
        self.advance(by: .seconds(1))
        #expect(try self.received().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
    }

    @Test func aRequestThatWaitsForItsResponseIsLeftAlone() throws {
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater)
        self.advance(by: .seconds(100))
        #expect(self.channel.isActive)
    }

    @Test func aPeerThatDoesNotReadIsCutOff() throws {
        try self.open()
        self.setWritable(false)
        self.advance(by: .seconds(58))
        #expect(self.channel.isActive)
        self.advance(by: .seconds(3))
        #expect(!self.channel.isActive)
    }

    // MARK: Long bodies

    @Test func nothingIsAnsweredWhileThePeerTakesNothing() throws {
        try self.open()
        self.setWritable(false)
        let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        try self.send(request + request)
        #expect(try self.received() == "")
        self.setWritable(true)
        #expect(try self.received().matches(of: /HTTP\/1.1 200 OK/).count == 2)
    }

    /// And it lets the event loop's other connections have their turn.
    @Test func aLongBodyWaitsForItsPeer() throws {
        let numbers = 1...20
        try self.open { request in
            let parts = numbers.map { ByteBuffer(string: "\($0),") }
            return .now(HTTPResponse(body: ByteBuffer(string: request.path), rest: parts.makeIterator()))
        }
        let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        try self.send(request + request)
        #expect(try self.received().hasSuffix("7,\r\n"))
        self.setWritable(false)
        self.channel.embeddedEventLoop.run()
        #expect(try self.received() == "")
        self.setWritable(true)
        #expect(try self.received().hasSuffix("15,\r\n"))
        self.channel.embeddedEventLoop.run()
        let received = try self.received()
        #expect(received.contains("20,\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"))
        #expect(received.hasSuffix("20,\r\n0\r\n\r\n"))
    }

    // MARK: Shutdown

    @Test func whatComesAfterTheLastRequestIsNoError() throws {
        try self.open()
        try self.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        try? self.send("0123456789nonsense")
        let received = try self.received()
        #expect(received.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(received.hasSuffix("\r\n\r\n/a"))
        #expect(!self.channel.isActive)
    }

    /// Cut short by its peer's end, it is an error that the pipeline's handler hands on from within the last response's end.
    @Test func halfARequestAfterTheLastIsNotAnswered() throws {
        try self.open(reply: self.later.reply(to:))
        try self.send(Self.requestForLater + "nonsense\r\n\r\n")
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        self.respondLater()
        #expect(try self.received().hasSuffix("\r\nConnection: close\r\n\r\nlater"))
        #expect(!self.channel.isActive)
    }

    @Test func whoeverOwesARequestIsNotWaitedFor() throws {
        try self.open()
        try self.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(self.channel.isActive)
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(!self.channel.isActive)
    }

    @Test func aResponseUnderWayIsFinished() throws {
        try self.open { _ in
            let parts = (1...20).map { ByteBuffer(string: "\($0),") }
            return .now(HTTPResponse(body: ByteBuffer(), rest: parts.makeIterator()))
        }
        try self.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        self.channel.embeddedEventLoop.run()
        #expect(try self.received().hasSuffix("20,\r\n0\r\n\r\n"))
        #expect(!self.channel.isActive)
    }
}

extension HTTPRequest {
    fileprivate var path: String { String(self.head.path) ?? "" }
}
