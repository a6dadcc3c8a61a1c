import LibGRPC
import Testing

/// What a call that a handler makes inherits from the handler's own call.
@Suite(.timeLimit(.minutes(5)))
struct PropagationTests {
    private static let outer = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Front", method: "Unary")

    /// Runs `body` with a server whose method is answered by `handler`, which can call a server behind it.
    private func run(
        behind: ServerMethod,
        _ handler: @escaping @Sendable (_ request: ByteBuffer, ServerContext, Channel) async throws -> ByteBuffer,
        _ body: (Loopback) async throws -> Void
    ) async throws {
        try await Loopback.run([behind]) { back in
            let front = ServerMethod.unary(Self.outer) { request, context in
                try await handler(request, context, back.channel)
            }
            try await Loopback.run([front]) { try await body($0) }
        }
    }

    /// In a task of its own, so that the cancellation of the handler's task does not reach the call.
    @Test func cancellation() async throws {
        let (arrived, cancelled) = (Signal(), Signal())
        let endless = ServerMethod.unary(Echo.unary) { request, _ in
            await arrived.set()
            await cancelled.waitUntilCancelled()
            await cancelled.set()
            return request
        }
        try await run(behind: endless) { request, context, channel in
            let options = CallOptions(propagating: context)
            return try await Task.detached { try await channel.unary(Echo.unary, request, options: options) }.value
        } _: { front in
            let call = Task { try await front.channel.unary(Self.outer, ByteBuffer("")) }
            await arrived.wait()
            call.cancel()
            await cancelled.wait()
            let error = await #expect(throws: RPCError.self) { try await call.value }
            #expect(error?.code == .cancelled)
        }
    }

    /// Each hop may round up to the next tenth of a second.
    @Test(arguments: [(nil, 1...60), (600, 1...60), (19, 1...20)])
    func deadline(ofTheInnerCall: Int?, expected: ClosedRange<Int64>) async throws {
        let remaining = ServerMethod.unary(Echo.unary) { _, context in
            ByteBuffer("\(context.timeRemaining?.components.seconds ?? -1)")
        }
        try await run(behind: remaining) { request, context, channel in
            let timeout = ofTheInnerCall.map { Duration.seconds($0) }
            let options = CallOptions(timeout: timeout, propagating: context)
            return try await channel.unary(Echo.unary, request, options: options)
        } _: { front in
            let options = CallOptions(timeout: .seconds(59))
            let response = try await front.channel.unary(Self.outer, ByteBuffer(""), options: options)
            #expect(expected.contains(try #require(Int64(response.text))))
        }
    }

    /// Nothing hangs, whenever a call begins whose outer call has ended.
    @Test func afterTheOuterCall() async throws {
        let (ended, endless, late) = (Signal(), Signal(), Signal())
        let behind = ServerMethod.unary(Echo.unary) { request, _ in
            await endless.waitUntilCancelled()
            return request
        }
        try await run(behind: behind) { request, context, channel in
            Task.detached {
                await ended.wait()
                let options = CallOptions(timeout: .seconds(240), propagating: context)
                let error = await #expect(throws: RPCError.self) {
                    try await channel.unary(Echo.unary, request, options: options)
                }
                #expect(error?.code == .cancelled)
                await late.set()
            }
            return request
        } _: { front in
            _ = try await front.channel.unary(Self.outer, ByteBuffer(""))
            await ended.set()
            await late.wait()
        }
    }
}
