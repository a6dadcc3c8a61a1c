import LibGRPC
import Testing

/// Streams that end while a task still uses them.
@Suite(.timeLimit(.minutes(5)))
struct StreamEndTests {
    /// On a queue's thread, a task that receives what is there already does not wait.
    @Test func cancelledWhileMessagesAreThere() async throws {
        let count = 2000
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            try await writer.write(contentsOf: repeatElement(ByteBuffer(""), count: count))
        }
        try await Loopback.run([method]) { loopback in
            let reader = Task(executorPreference: loopback.group.queues[0]) {
                let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
                _ = try await stream.initialMetadata
                try await Task.sleep(for: .milliseconds(100))
                withUnsafeCurrentTask { $0?.cancel() }
                var received = 0
                do { for try await _ in stream { received += 1 } } catch { return (received, error as? RPCError) }
                return (received, nil)
            }
            let (received, error) = try await reader.value
            #expect(received < count)
            #expect(error?.code == .cancelled)
        }
    }

    @Test func aWriteAfterTheHandlersEnd() async throws {
        let hasEnded = Signal()
        let errors = AsyncStream<(any Error)?>.makeStream()
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            Task {
                await hasEnded.wait()
                do {
                    try await writer.write(ByteBuffer(""))
                    errors.continuation.yield(nil)
                } catch {
                    errors.continuation.yield(error)
                }
            }
        }
        try await Loopback.run([method]) { loopback in
            for try await _ in try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("")) {}
            await hasEnded.set()
            var late = errors.stream.makeAsyncIterator()
            let error = await late.next() as? RPCError
            #expect(error?.code == .cancelled)
        }
    }
}
