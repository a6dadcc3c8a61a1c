internal import Synchronization

// From a call's arrival to the status that its handler comes to.

extension ServerCall {
    /// Has the method's handler answer the call, which has just arrived.
    func answer() {
        switch registration.method.handler {
        case .immediate(let handle): answer(handle)
        case .task(let handle): startAnswering(handle)
        case .deferred(let handle): answerLater(handle)
        case .following(let broadcast, let open): startFollowing(broadcast, open)
        }
    }

    private func startAnswering(_ handle: @escaping @Sendable (ServerCall) async throws -> ByteBuffer?) {
        if registration.method.isStreaming { watchForEnd() }
        // Runs here and now until it first waits, and on this thread from then on.
        let handler = Task.immediate(executorPreference: queue) {
            await self.answer(handle)
        }
        let (hasFinished, peerIsGone) = state.withLock { state in
            if !state.hasFinished { state.handler = handler }
            return (state.hasFinished, state.peerIsGone)
        }
        // A unary call that is answered already has its end in the same batch as the answer.
        if !hasFinished, !registration.method.isStreaming { watchForEnd() }
        if peerIsGone { handler.cancel() }
    }

    private func answer(_ handle: (ServerCall) async throws -> ByteBuffer?) async {
        var observer: CallObserver?
        do {
            try intercept(&observer)
            conclude(.success(try await handle(self)), observer)
        } catch {
            conclude(.failure(error), observer)
        }
    }

    private func answer(_ handle: (ServerCall) throws -> ByteBuffer?) {
        var observer: CallObserver?
        do {
            try intercept(&observer)
            conclude(.success(try handle(self)), observer)
        } catch {
            conclude(.failure(error), observer)
        }
    }

    private func answerLater(_ handle: (ServerCall, CallObserver?) throws -> Void) {
        var observer: CallObserver?
        do {
            try intercept(&observer)
            try handle(self, observer)
        } catch {
            conclude(.failure(error), observer)
        }
    }

    /// Collects who is to learn the status, until an interceptor refuses the call.
    func intercept(_ observer: inout CallObserver?) throws {
        for interceptor in server.interceptors {
            observer = CallObserver(try interceptor.callBegan(ServerContext(call: self)), then: observer)
        }
    }

    /// Ends the call with what its handler came to.
    func conclude(_ result: Result<ByteBuffer?, any Error>, _ observer: CallObserver?) {
        var status = Status.ok
        var cause: (any Error)?
        switch result {
        case .success(let message):
            finish(with: .ok, message: message)
        case .failure(let error):
            cause = error
            let error = RPCError(ofHandler: error)
            status = Status(code: error.code, message: error.message)
            finish(with: status, metadata: error.metadata)
        }
        observer?.callEnded(status, cause)
    }
}
