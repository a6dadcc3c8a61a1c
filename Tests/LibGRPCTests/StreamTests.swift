import LibGRPC
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5)))
struct StreamTests {
    private static let counting = ServerMethod.serverStreaming(Echo.stream) { request, writer, _ in
        for index in 0..<(Int(request.text) ?? 0) {
            try await writer.write(ByteBuffer("\(index)"))
        }
    }

    /// Streams until its task is cancelled, then signals `cancelled`.
    private static func endless(_ opened: Signal, _ cancelled: Signal) -> ServerMethod {
        .serverStreaming(Echo.stream) { _, writer, context in
            try await context.sendInitialMetadata([:])
            await opened.set()
            await withTaskCancellationHandler {
                await Signal().waitUntilCancelled()
            } onCancel: {
                Task { await cancelled.set() }
            }
        }
    }

    @Test(arguments: [0, 1, 10_000]) func messagesInOrder(count: Int) async throws {
        try await Loopback.run([Self.counting]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("\(count)"))
            var received: [String] = []
            for try await message in stream { received.append(message.text) }
            #expect(received == (0..<count).map { "\($0)" })
        }
    }

    /// Messages that have arrived already are received without an event for each, so a reader does not suspend.
    @Test func whatIsThereIsReadInOneGo() async throws {
        try await Loopback.run([Self.counting]) { loopback in
            let queue = loopback.group.queues[0]
            try await Task(executorPreference: queue) {
                let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("10"))
                var first = stream.makeAsyncIterator()
                #expect(try await first.next()?.text == "0")
                try await Task.sleep(for: .milliseconds(300))
                let received = Mutex(0)
                let reader = Task.immediate(executorPreference: queue) {
                    var rest = stream.makeAsyncIterator()
                    while try await rest.next() != nil { received.withLock { $0 += 1 } }
                }
                // The core delivers the last message together with the status.
                #expect(received.withLock { $0 } >= 8)
                try await reader.value
                #expect(received.withLock { $0 } == 9)
            }.value
        }
    }

    @Test func burst() async throws {
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            try await writer.write(contentsOf: (0..<300).map { ByteBuffer("\($0)") })
        }
        try await Loopback.run([method]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            var received: [String] = []
            for try await message in stream { received.append(message.text) }
            #expect(received == (0..<300).map { "\($0)" })
        }
    }

    private struct CannotBeEncoded: Error {}

    private struct Message: WireMessage {
        let text: String

        init(_ text: String) { self.text = text }

        init(decoding buffer: ByteBuffer) { text = buffer.text }

        func encoded() throws -> ByteBuffer {
            if text.isEmpty { throw CannotBeEncoded() }
            return ByteBuffer(text)
        }
    }

    @Test func messagesBeforeOneThatCannotBeEncoded() async throws {
        let descriptor = MethodDescriptor<Message, Message>(service: "test.Echo", method: "Stream")
        let method = ServerMethod.serverStreaming(descriptor) { _, writer, _ in
            await #expect(throws: CannotBeEncoded.self) {
                try await writer.write(contentsOf: ["1", "2", "3", ""].map(Message.init))
            }
            // No status flushes the transport.
            await Signal().waitUntilCancelled()
        }
        try await Loopback.run([method]) { loopback in
            let stream = try loopback.channel.serverStreaming(descriptor, Message("x"))
            var received: [String] = []
            for try await message in stream {
                received.append(message.text)
                if received.count == 3 { break }
            }
            #expect(received == ["1", "2", "3"])
            stream.cancel()
        }
    }

    @Test func initialAndTrailingMetadata() async throws {
        let release = Signal()
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, context in
            try await context.sendInitialMetadata(["position": "here"])
            await release.wait()
            context.setTrailingMetadata(["total": "0"])
        }
        try await Loopback.run([method]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            // It arrives before any message, and before the end.
            #expect(try await stream.initialMetadata.first("position") == "here")
            await release.set()
            #expect(await stream.trailingMetadata.first("total") == "0")
            for try await _ in stream { Issue.record("no message was sent") }
        }
    }

    @Test func errorAfterMessages() async throws {
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            try await writer.write(ByteBuffer("one"))
            throw RPCError(code: .outOfRange, message: "that was all")
        }
        try await Loopback.run([method]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            var received: [String] = []
            let error = await #expect(throws: RPCError.self) {
                for try await message in stream { received.append(message.text) }
            }
            #expect(received == ["one"])
            #expect(error?.code == .outOfRange)
        }
    }

    @Test func cancelledByTheReader() async throws {
        let (opened, cancelled) = (Signal(), Signal())
        try await Loopback.run([Self.endless(opened, cancelled)]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            await opened.wait()
            stream.cancel()
            await cancelled.wait()
            let error = await #expect(throws: RPCError.self) { for try await _ in stream {} }
            #expect(error?.code == .cancelled)
        }
    }

    @Test func cancelledWithTheReadersTask() async throws {
        let (opened, cancelled) = (Signal(), Signal())
        try await Loopback.run([Self.endless(opened, cancelled)]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            let reader = Task { for try await _ in stream {} }
            await opened.wait()
            reader.cancel()
            await cancelled.wait()
            await #expect(throws: RPCError.self) { try await reader.value }
        }
    }

    @Test func cancelledWhenTheStreamIsReleased() async throws {
        let (opened, cancelled) = (Signal(), Signal())
        try await Loopback.run([Self.endless(opened, cancelled)]) { loopback in
            _ = try await loopback.channel.serverStreaming(Echo.stream, ByteBuffer("")).initialMetadata
            await cancelled.wait()
        }
    }

    private final class Turns: Sendable {
        let count = Atomic(0)
    }

    /// A stream whose messages are all sent at once never suspends for them.
    @Test func aStreamThatNeverWaitsLetsOthersRun() async throws {
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            let others = Turns()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    while !Task.isCancelled {
                        others.count.add(1, ordering: .relaxed)
                        await Task.yield()
                    }
                }
                // Far less than the client's flow-control window.
                for _ in 0..<1000 { try await writer.write(ByteBuffer("")) }
                try await writer.write(ByteBuffer("\(others.count.load(ordering: .relaxed))"))
                tasks.cancelAll()
            }
        }
        try await Loopback.run([method]) { loopback in
            var last = ""
            for try await message in try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("")) {
                last = message.text
            }
            #expect(try #require(Int(last)) >= 10)
        }
    }

    @Test func deadline() async throws {
        let cancelled = Signal()
        let method = ServerMethod.serverStreaming(Echo.stream) { _, _, _ in
            await Signal().waitUntilCancelled()
            await cancelled.set()
        }
        try await Loopback.run([method]) { loopback in
            let options = CallOptions(timeout: .milliseconds(200))
            // On a busy machine a deadline may pass before the call reaches the server.
            repeat {
                let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""), options: options)
                let error = await #expect(throws: RPCError.self) { for try await _ in stream {} }
                #expect(error?.code == .deadlineExceeded)
            } while await !cancelled.isSet
        }
    }

    @Test func stalledReaderHoldsBackTheWriter() async throws {
        let cancelled = Signal()
        let written = Counter()
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            let message = ByteBuffer([UInt8](repeating: 7, count: 100_000))
            do {
                while true {
                    try await writer.write(message)
                    await written.increment()
                }
            } catch {
                await cancelled.set()
            }
        }
        var options = ChannelOptions()
        options.streamWindow = 64 << 10
        try await Loopback.run([method], channelOptions: options) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            var iterator = stream.makeAsyncIterator()
            for _ in 0..<100 { #expect(try await iterator.next()?.count == 100_000) }
            let whileReading = await written.value
            #expect(whileReading < 100 + 50, "what was not read is not written")
            stream.cancel()
            await cancelled.wait()
        }
    }

    @Test func serverShutDownWithOpenStreams() async throws {
        let (opened, cancelled) = (Signal(), Signal())
        try await Loopback.run([Self.endless(opened, cancelled)]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            await opened.wait()
            await loopback.server.shutDown(gracePeriod: .milliseconds(10))
            await #expect(throws: RPCError.self) { for try await _ in stream {} }
        }
    }

    @Test func manyStreams() async throws {
        try await Loopback.run([Self.counting]) { loopback in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<500 {
                    group.addTask {
                        var count = 0
                        for try await _ in try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("20")) {
                            count += 1
                        }
                        return count
                    }
                }
                for try await count in group { #expect(count == 20) }
            }
        }
    }
}
