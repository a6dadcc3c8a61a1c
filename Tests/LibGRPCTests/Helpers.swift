import CGRPC
import CGRPCInspection

@testable import LibGRPC

/// A server and a channel to it, for one test.
struct Loopback {
    let group: CompletionQueueGroup
    let server: Server
    let channel: Channel
    let port: Int

    /// Runs `body`, then shuts everything down in order.
    static func run<Outcome>(
        _ methods: [ServerMethod],
        interceptors: [ServerInterceptor] = [],
        options: ServerOptions = ServerOptions(),
        channelOptions: ChannelOptions = ChannelOptions(),
        _ body: (Loopback) async throws -> Outcome
    ) async throws -> Outcome {
        try await run(
            { _ in methods },
            interceptors: interceptors,
            options: options,
            channelOptions: channelOptions,
            body
        )
    }

    /// As above, with methods that need the group.
    static func run<Outcome>(
        _ methods: (CompletionQueueGroup) -> [ServerMethod],
        interceptors: [ServerInterceptor] = [],
        options: ServerOptions = ServerOptions(),
        channelOptions: ChannelOptions = ChannelOptions(),
        _ body: (Loopback) async throws -> Outcome
    ) async throws -> Outcome {
        let group = try CompletionQueueGroup(count: 2)
        let server = try Server(methods: methods(group), interceptors: interceptors, options: options, group: group)
        let port = try await server.start(listeningOn: ["127.0.0.1:0"])[0]
        let result: Result<Outcome, any Error>
        do {
            let channel = Channel(target: "127.0.0.1:\(port)", options: channelOptions, group: group)
            result = .success(try await body(Loopback(group: group, server: server, channel: channel, port: port)))
        } catch {
            result = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        return try result.get()
    }
}

/// The methods that the tests call. Their messages are bytes.
enum Echo {
    static let unary = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Unary")
    static let stream = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Stream")
    static let collect = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Collect")
    static let chat = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Chat")
    static let missing = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Missing")
}

extension ByteBuffer {
    init(_ text: String) {
        self.init(text.utf8)
    }

    var text: String { withBytes { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } } }
}

extension RPCError {
    /// The mistake that caused the error.
    var misuse: MisuseError.Code? { (cause as? MisuseError)?.code }
}

/// Something that one task signals and others wait for.
actor Signal {
    private(set) var isSet = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func set() {
        isSet = true
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    func wait() async {
        if isSet { return }
        // A test's time limit cancels its task.
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiting.append($0) }
        } onCancel: {
            Task { await set() }
        }
    }
}

actor Counter {
    private(set) var value = 0
    func increment() { value += 1 }
}

extension Signal {
    /// Returns when the task is cancelled.
    nonisolated func waitUntilCancelled() async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        await withTaskCancellationHandler {
            for await _ in stream {}
        } onCancel: {
            continuation.finish()
        }
    }
}

// Whether a message was compressed on its way. Only tests need this, so the binding does not have it.

extension ServerContext {
    /// Whether the last request was compressed.
    var requestWasCompressed: Bool { call.messageWasCompressed }
}

extension Call {
    /// Whether the last received message was compressed.
    var messageWasCompressed: Bool {
        guard let call = storage.pointee.call else { return false }
        return cgrpc_call_message_was_compressed(call)
    }
}

extension Channel {
    /// As `unary`, and whether the response was compressed.
    func inspectedUnary<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request
    ) async throws -> (response: Response, wasCompressed: Bool) {
        let call = try ClientCall(channel: self, path: method.path, options: CallOptions())
        let response = try method.responses.decode(try await call.exchange(try method.requests.encode(request)))
        return (response, call.messageWasCompressed)
    }

    /// As `serverStreaming`, with all responses, and whether each was compressed.
    func inspectedServerStreaming<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request
    ) async throws -> [(response: Response, wasCompressed: Bool)] {
        let call = try ClientCall(channel: self, path: method.path, options: CallOptions())
        try call.startStream(try method.requests.encode(request))
        var responses: [(Response, Bool)] = []
        for try await response in ResponseStream(call: call, codec: method.responses) {
            responses.append((response, call.messageWasCompressed))
        }
        return responses
    }
}
