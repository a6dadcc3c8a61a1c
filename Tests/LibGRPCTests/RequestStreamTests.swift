import LibGRPC
import Testing

/// Calls in which the client streams: client-streaming and bidirectional.
@Suite(.timeLimit(.minutes(5)))
struct RequestStreamTests {
    private static let joining = ServerMethod.clientStreaming(Echo.collect) { requests, _ in
        var texts: [String] = []
        for try await request in requests { texts.append(request.text) }
        return ByteBuffer(texts.joined(separator: ","))
    }

    private static let echoing = ServerMethod.bidirectional(Echo.chat) { requests, writer, _ in
        for try await request in requests { try await writer.write(ByteBuffer("re: " + request.text)) }
    }

    @Test(arguments: [0, 1, 1000]) func requestsInOrder(count: Int) async throws {
        try await Loopback.run([Self.joining]) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            for index in 0..<count { try await call.requests.write(ByteBuffer("\(index)")) }
            try await call.requests.finish()
            let response = try await call.response()
            #expect(response.text == (0..<count).map { "\($0)" }.joined(separator: ","))
        }
    }

    @Test func aResponseBeforeTheRequestsEnd() async throws {
        let method = ServerMethod.clientStreaming(Echo.collect) { requests, _ in
            for try await request in requests where request.text == "enough" { break }
            return ByteBuffer("thanks")
        }
        try await Loopback.run([method]) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            try await call.requests.write(ByteBuffer("enough"))
            #expect(try await call.response().text == "thanks")
        }
    }

    @Test func pingPong() async throws {
        try await Loopback.run([Self.echoing]) { loopback in
            let call = try loopback.channel.bidirectional(Echo.chat)
            var responses = call.responses.makeAsyncIterator()
            for index in 0..<200 {
                try await call.requests.write(ByteBuffer("\(index)"))
                let response = try await responses.next()
                #expect(response?.text == "re: \(index)")
            }
            try await call.requests.finish()
            let end = try await responses.next()
            #expect(end == nil)
        }
    }

    @Test func nothingIsWrittenAfterTheEnd() async throws {
        try await Loopback.run([Self.joining]) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            try await call.requests.write(ByteBuffer("all"))
            try await call.requests.finish()
            let late = await #expect(throws: RPCError.self) { try await call.requests.write(ByteBuffer("more")) }
            #expect(late?.code == .internal)
            #expect(late?.misuse == .writeAfterFinish)
            let again = await #expect(throws: RPCError.self) { try await call.requests.finish() }
            #expect(again?.misuse == .writeAfterFinish)
            #expect(try await call.response().text == "all")
            let second = await #expect(throws: RPCError.self) { try await call.response() }
            #expect(second?.misuse == .secondResponse)
        }
    }

    @Test func bothWaysAtTheirOwnPace() async throws {
        try await Loopback.run([Self.echoing]) { loopback in
            let call = try loopback.channel.bidirectional(Echo.chat)
            async let received = call.responses.reduce(0) { count, _ in count + 1 }
            for index in 0..<5000 { try await call.requests.write(ByteBuffer("\(index)")) }
            try await call.requests.finish()
            let count = try await received
            #expect(count == 5000)
        }
    }

    @Test func theServerSpeaksFirst() async throws {
        let method = ServerMethod.bidirectional(Echo.chat) { requests, writer, _ in
            try await writer.write(ByteBuffer("welcome"))
            for try await _ in requests {}
        }
        try await Loopback.run([method]) { loopback in
            let call = try loopback.channel.bidirectional(Echo.chat)
            var responses = call.responses.makeAsyncIterator()
            #expect(try await responses.next()?.text == "welcome")
            try await call.requests.finish()
            let end = try await responses.next()
            #expect(end == nil)
        }
    }

    @Test func writingFailsAfterTheServersEnd() async throws {
        let method = ServerMethod.bidirectional(Echo.chat) { _, _, _ in
            throw RPCError(code: .failedPrecondition, message: "not today")
        }
        try await Loopback.run([method]) { loopback in
            let call = try loopback.channel.bidirectional(Echo.chat)
            let error = await #expect(throws: RPCError.self) {
                while true { try await call.requests.write(ByteBuffer([UInt8](repeating: 0, count: 1000))) }
            }
            #expect(error?.code == .failedPrecondition || error?.code == .cancelled)
            let status = await #expect(throws: RPCError.self) { for try await _ in call.responses {} }
            #expect(status?.code == .failedPrecondition)
        }
    }

    @Test func cancellingReachesTheHandlersReading() async throws {
        let (opened, ended) = (Signal(), Signal())
        let method = ServerMethod.bidirectional(Echo.chat) { requests, writer, context in
            try await context.sendInitialMetadata([:])
            await opened.set()
            do {
                for try await _ in requests {}
                Issue.record("a cancelled stream is no stream that has ended")
            } catch {
                await ended.set()
            }
        }
        try await Loopback.run([method]) { loopback in
            let call = try loopback.channel.bidirectional(Echo.chat)
            await opened.wait()
            call.cancel()
            await ended.wait()
        }
    }

    @Test func twoWritesAtOnceAreRefused() async throws {
        try await Loopback.run([Self.joining]) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            let large = ByteBuffer([UInt8](repeating: 1, count: 1 << 20))
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        do {
                            try await call.requests.write(large)
                            return true
                        } catch {
                            #expect((error as? RPCError)?.code == .internal)
                            #expect((error as? RPCError)?.misuse == .concurrentWrites)
                            return false
                        }
                    }
                }
                var succeeded = 0
                for try await wasWritten in group where wasWritten { succeeded += 1 }
                #expect(succeeded >= 1)
            }
            call.cancel()
        }
    }

    @Test(arguments: [CompressionAlgorithm.none, .deflate, .gzip])
    func compressedBothWays(algorithm: CompressionAlgorithm) async throws {
        let method = ServerMethod.bidirectional(Echo.chat) { requests, writer, context in
            context.setCompression(algorithm)
            for try await request in requests { try await writer.write(request) }
        }
        var options = ServerOptions()
        options.acceptedCompression = [.deflate, .gzip]
        try await Loopback.run([method], options: options) { loopback in
            let call = try loopback.channel.bidirectional(Echo.chat, options: CallOptions(compression: algorithm))
            let message = ByteBuffer([UInt8](repeating: 65, count: 50_000))
            try await call.requests.write(message)
            try await call.requests.finish()
            var responses = call.responses.makeAsyncIterator()
            #expect(try await responses.next() == message)
        }
    }

    @Test func twoResponsesWhereOneIsPromised() async throws {
        let method = ServerMethod.bidirectional(Echo.collect) { _, writer, _ in
            try await writer.write(ByteBuffer("one"))
            try await writer.write(ByteBuffer("two"))
        }
        try await Loopback.run([method]) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            let error = await #expect(throws: RPCError.self) { try await call.response() }
            #expect(error?.code == .internal)
        }
    }
}
