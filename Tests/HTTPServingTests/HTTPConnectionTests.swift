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

    let channel = EmbeddedChannel()
    let memory = HTTPMemory(limit: Self.limits.memoryBytes)
    let connections = HTTPConnections(limits: Self.limits)
    let later = Later()

    func open(reply: @escaping @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply = Self.echoPath) throws {
        let server = HTTPServer(
            routes: Self.paths.map { path in
                HTTPRoute(path, [.GET, .HEAD, .POST, .CONNECT], isHealth: path == "/health", answer: reply)
            },
            limits: Self.limits,
            memory: memory,
            allowedHosts: AllowedHosts([], setting: "HOSTS"),
            errorBody: { ByteBuffer(string: $0) }
        )
        try server.addHandlers(to: channel, connections)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private static let paths = ["/", "/a", "/b", "/c", "/health", "/hey", "/later", "/next", "a:1"]

    fileprivate static func echoPath(_ request: HTTPRequest) -> HTTPReply {
        .response(HTTPResponse(body: ByteBuffer(string: request.path)))
    }

    func send(_ text: String) throws {
        try channel.writeInbound(ByteBuffer(string: text))
    }

    func received() throws -> String {
        var text = ""
        while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
        return text
    }

    func stop(forced: Bool = false) {
        connections.stop(forced: forced)
        channel.embeddedEventLoop.run()
    }

    func advance(by time: TimeAmount) {
        channel.embeddedEventLoop.advanceTime(by: time)
    }

    func setWritable(_ isWritable: Bool) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }

    /// Answers `/later` when it is told to, and the other paths at once.
    final class Later: Sendable {
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

    func respondLater(_ text: String = "later") {
        later.respond(text)
        channel.embeddedEventLoop.run()
    }

    static let requestForLater = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"

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
            /HTTP\/1.1 200 OK\r\nContent-Type: application\/json\r\nContent-Length: 4\r\nDate: .{29}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=114\r\nX-Request-Id: [0-9a-f]{16}\r\n\r\n\/hey/
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
        let count = 5_000
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

    static func inParts(_ request: HTTPRequest) -> HTTPReply {
        .response(
            HTTPResponse(
                body: ByteBuffer(string: "[1"),
                chunks: [",2", "]"].lazy.map(ByteBuffer.init(string:)).makeIterator()
            )
        )
    }
}

extension HTTPRequest {
    var path: String { String(head.path) ?? "" }
}
