internal import Synchronization

/// The response of a call whose handler has returned before there was one. See
/// ``ServerMethod/unary(_:deferredHandler:)``.
///
/// Only the first result counts. Released without one, it ends its call with `INTERNAL`. A server's shutdown waits for it as
/// long as its grace period allows. Thread-safe.
public struct DeferredResponse<Response: WireMessage>: Sendable {
    private let answer: DeferredAnswer

    init(_ answer: DeferredAnswer) {
        self.answer = answer
    }

    /// Ends the call with a response. What is given at the same time on many calls leaves in few writes.
    public func succeed(_ response: Response) {
        answer.give(Result { try response.encoded() })
    }

    /// Ends the call with an error, as a handler that throws it.
    public func fail(_ error: any Error) {
        answer.give(.failure(error))
    }
}

/// What a ``DeferredResponse`` is of any type: generic classes are looked up by their type's name at each use. Lets go of
/// the call with its end.
final class DeferredAnswer: TurnWork {
    private let state: Mutex<State>

    private enum State {
        case pending(ServerCall, CallObserver?)
        case given(ServerCall, CallObserver?, Result<ByteBuffer?, any Error>)
        case done
    }

    init(call: ServerCall, observer: CallObserver?) {
        state = Mutex(.pending(call, observer))
    }

    func give(_ result: Result<ByteBuffer, any Error>) {
        let queue = state.withLock { state -> CompletionQueue? in
            guard case .pending(let call, let observer) = state else { return nil }
            state = .given(call, observer, result.map(Optional.some))
            return call.queue
        }
        queue?.perform(self)
    }

    /// On the queue's thread, when there is a result.
    func run() {
        if case .given(let call, let observer, let result) = finish() { call.conclude(result, observer) }
    }

    deinit {
        switch finish() {
        case .pending(let call, let observer):
            call.conclude(.failure(RPCError(code: .internal, message: "the call was not answered")), observer)
        case .given(let call, let observer, let result):
            // The queue had ended, and let go of what it was to do.
            call.conclude(result, observer)
        case .done: break
        }
    }

    private func finish() -> State {
        state.withLock { state in
            defer { state = .done }
            return state
        }
    }
}
