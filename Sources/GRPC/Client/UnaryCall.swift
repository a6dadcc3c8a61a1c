/// A call with one request and one response that calls back at its end. It goes on when this is let go of. Thread-safe.
public struct UnaryCall: Sendable {
    private let reference: Reference

    init(call: ClientCall) {
        reference = Reference(call)
    }

    /// Ends the call, with `CANCELLED` unless it has ended already.
    public func cancel() {
        reference.call?.cancel()
    }

    /// Weak, so that a call is let go of on the thread where it ends. On another one that costs a client with many calls a
    /// tenth of its processor time: the core's threads get in each other's way.
    ///
    /// `@unchecked`: it is set once, before it is shared; a weak reference is cleared atomically.
    private final class Reference: @unchecked Sendable {
        private(set) weak var call: ClientCall?

        init(_ call: ClientCall) {
            self.call = call
        }
    }
}
