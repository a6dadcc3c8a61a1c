import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPServing

/// A source whose parts a test gives it. Only for the thread of the test.
private final class TestSource: HTTPBodySource, @unchecked Sendable {
    private(set) var waker: HTTPBodyWaker?
    private(set) var calls = 0
    private(set) var hasEnded = false
    private var parts: [HTTPBodyPart] = []

    func start(_ waker: HTTPBodyWaker) -> any HTTPBodySource {
        self.waker = waker
        return self
    }

    func give(_ parts: HTTPBodyPart...) {
        self.parts += parts
        waker?.wake()
    }

    func next() -> HTTPBodyPart {
        calls += 1
        return parts.isEmpty ? .nothingYet : parts.removeFirst()
    }

    func end() { hasEnded = true }
}

extension HTTPConnectionTests {
    private static let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

    /// Opens a connection whose requests are answered by a source.
    private func openWithSource(memory: HTTPMemory? = nil) throws -> TestSource {
        let source = TestSource()
        try open { _ in
            .response(HTTPResponse(body: ByteBuffer(string: "a"), source: { source.start($0) }, memory: memory))
        }
        return source
    }

    private func text(_ text: String) -> HTTPBodyPart { .chunk(ByteBuffer(string: text)) }

    @Test func aSourceMakesTheBody() throws {
        let source = try openWithSource()
        try send(Self.request)
        #expect(try received().hasSuffix("\r\n\r\n1\r\na\r\n"))
        source.give(text("b"), text("cd"))
        #expect(try received() == "1\r\nb\r\n2\r\ncd\r\n")
        #expect(!source.hasEnded)
        source.give(.end)
        #expect(try received() == "0\r\n\r\n")
        #expect(source.hasEnded)
        #expect(channel.isActive)
        try send(Self.request)
        #expect(try received().hasPrefix("HTTP/1.1 200 OK"))
    }

    @Test func theHeadOfASourceNeedsNone() throws {
        let source = try openWithSource()
        try send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n")
        let received = try received()
        #expect(received.hasPrefix("HTTP/1.1 200 OK") && received.hasSuffix("\r\n\r\n"))
        #expect(!received.contains("Content-Length"))
        #expect(source.waker == nil)
    }

    @Test func aSourceIsAskedWhenThePeerCanTakeMore() throws {
        let source = try openWithSource()
        try send(Self.request)
        let calls = source.calls
        setWritable(false)
        source.give(text("b"))
        #expect(source.calls == calls)
        setWritable(true)
        #expect(try received().hasSuffix("1\r\nb\r\n"))
    }

    @Test func aSourceWaitsForMemory() throws {
        let memory = HTTPMemory(limit: 10_000)
        let source = try openWithSource(memory: memory)
        try send(Self.request)
        memory.add(10_000)
        source.give(text(String(repeating: "b", count: 5000)))
        for _ in 0..<100 { source.give() }
        #expect(try received().hasSuffix("1\r\na\r\n"))
        memory.release(10_000)
        let calls = source.calls
        advance(by: .milliseconds(20))
        #expect(try received().hasSuffix("bbb\r\n"))
        // However often it was woken, one retry was scheduled.
        #expect(source.calls == calls + 1)
    }

    @Test func aSourceEndsWithItsPeer() throws {
        let source = try openWithSource()
        try send(Self.request)
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(source.hasEnded)
        #expect(connections.isEmpty)
    }

    @Test func aStopCompletesTheBodyOfASource() throws {
        let source = try openWithSource()
        try send(Self.request)
        _ = try received()
        stop()
        #expect(try received() == "0\r\n\r\n")
        #expect(source.hasEnded)
        #expect(!channel.isActive)
        #expect(connections.isEmpty)
    }

    @Test func aStopDoesNotWaitForAPeerThatTakesNothing() throws {
        let source = try openWithSource()
        try send(Self.request)
        setWritable(false)
        source.give(text("b"))
        stop()
        #expect(source.hasEnded)
        #expect(!channel.isActive)
    }
}

extension HTTPMemoryTests {
    @Test func aShareLeavesTheRest() {
        let whole = HTTPMemory(limit: 10)
        let share = HTTPMemory(limit: 5, of: whole)
        #expect(share.reserve(4))
        #expect(!share.reserve(4))
        #expect(whole.usedBytes == 4)
        #expect(whole.reserve(6))
        #expect(!share.reserve(1))
        whole.release(6)
        share.release(4)
        #expect(whole.usedBytes == 0 && share.usedBytes == 0)
    }

    @Test func whatIsLargerThanAShareIsAdmittedAlone() {
        let whole = HTTPMemory(limit: 100)
        let share = HTTPMemory(limit: 5, of: whole)
        #expect(share.reserve(6))
        #expect(!share.reserve(6))
        share.release(6)
        #expect(share.reserve(1))
        #expect(!share.reserve(6))
        #expect(whole.usedBytes == 1)
    }
}
