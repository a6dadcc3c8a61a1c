internal import Synchronization

/// The answer of a unary call that has no task, see ``ServerMethod/responder(_:_:)``.
///
/// You answer at once, or later from any thread. Answers that other threads give together leave in few writes. If you
/// drop the reply, the call ends with `INTERNAL`. If the client disappears, the answer is dropped. A server's shutdown
/// waits for it within the grace period.
public struct Reply<Response>: ~Copyable, Sendable {
    private let reply: CallReply
    private let encode: @Sendable (Response) throws -> ByteBuffer

    init(call: ServerCall, encode: @escaping @Sendable (Response) throws -> ByteBuffer) {
        reply = CallReply(call)
        self.encode = encode
    }

    /// Ends the call with a response.
    public consuming func succeed(_ response: Response) {
        complete { response }
    }

    /// Ends the call with an error, like a handler that throws it.
    public consuming func fail(_ error: any Error) {
        reply.complete(with: .failure(error))
    }

    /// Ends the call with what `body` returns or throws.
    public consuming func complete(_ body: () throws -> Response) {
        let message: ByteBuffer
        do {
            message = try encode(try body())
        } catch {
            return reply.complete(with: .failure(error))
        }
        reply.complete(with: .success(message))
    }

    /// The reply as a closure, for interfaces that call back. Only its first call counts.
    public consuming func callback() -> @Sendable (Result<Response, any Error>) -> Void {
        let encode = encode
        let reply = SharedReply(reply)
        return { result in reply.complete(with: Result { try encode(try result.get()) }) }
    }
}

/// The part of ``Reply`` that does not depend on its type.
struct CallReply: ~Copyable, Sendable {
    /// `nil` once answered.
    private var call: ServerCall?

    init(_ call: ServerCall) {
        self.call = call
    }

    deinit {
        call?.conclude(.failure(RPCError(code: .internal, message: "the call was not answered")))
    }

    consuming func complete(with result: Result<ByteBuffer?, any Error>) {
        call.take()?.conclude(result)
    }
}

/// A reply that closures share.
private final class SharedReply: Sendable {
    private let reply: Mutex<CallReply?>

    init(_ reply: consuming CallReply) {
        self.reply = Mutex(reply)
    }

    func complete(with result: Result<ByteBuffer?, any Error>) {
        let reply = reply.withLock { $0.take() }
        reply?.complete(with: result)
    }
}
