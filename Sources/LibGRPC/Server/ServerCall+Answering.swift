internal import CGRPC
internal import Synchronization

// From a call's first message to its end.

extension ServerCall {
    /// Calls the method's handler, which ends the call with ``conclude(_:)``.
    func answer() {
        guard let answer = registration.method.answer else {
            // Not before the first message: a proxy that is still sending it reports another error.
            server.callRefused(.unknownMethod, .unimplemented)
            return finish(with: unimplemented)
        }
        if registration.method.isStreaming { watchForEnd() }
        do {
            for interceptor in server.interceptors {
                observer = CallObserver(try interceptor.callBegan(ServerContext(call: self)), then: observer)
            }
        } catch {
            return conclude(.failure(error))
        }
        answer(self)
    }

    /// Answers the call with a task. It runs here until it first waits, and continues on this thread.
    func answerInTask(_ handle: @escaping @Sendable (ServerCall) async throws -> ByteBuffer?) {
        let handler = Task.immediate(executorPreference: queue) {
            do {
                self.conclude(.success(try await handle(self)))
            } catch {
                self.conclude(.failure(error))
            }
        }
        let (hasFinished, peerIsGone) = state.withLock { state in
            if !state.hasFinished { state.handler = handler }
            return (state.hasFinished, state.peerIsGone)
        }
        if !hasFinished { watchForEnd() }
        if peerIsGone { handler.cancel() }
    }

    /// Ends the call with its handler's result: the message that is sent with the status, if any, or an error. Once, from
    /// any thread.
    func conclude(_ result: Result<ByteBuffer?, any Error>) {
        guard queue.isCurrent, !queue.isPolling else {
            return queue.execute { self.finish(result) }
        }
        finish(result)
    }

    private func finish(_ result: Result<ByteBuffer?, any Error>) {
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
        // An observer may hold the call.
        observer.take()?.callEnded(status, cause)
    }

    /// Starts the operation that reports the call's end. Nothing else reports a client that is gone in time.
    func watchForEnd() {
        guard !isWatched else { return }
        isWatched = true
        // Fails only if the queue is shut down, which ends the call too.
        try? start(.end, .then { _ in self.ended() }) { cgrpc_batch_recv_close_on_server(&$0, storage) }
    }

    private func ended() {
        awaited.remove(self)
        guard storage.pointee.cancelled != 0 else { return }
        peerLeft()
        subscriber?.stop(RPCError.peerIsGone)
    }

    /// Ends the call with a status while its handler works, even if its client reads nothing. The handler sees the call
    /// cancelled. Thread-safe; does nothing if the call has ended.
    func end(with status: Status) {
        queue.execute { [self] in
            guard !state.withLock({ $0.hasFinished || $0.peerIsGone }) else { return }
            watchForEnd()
            cancel(with: status)
        }
    }

    /// The client has cancelled the call or its deadline has passed. The core ends the call.
    func peerLeft() {
        let handler = state.withLock { state in
            state.peerIsGone = true
            return state.handler
        }
        handler?.cancel()
    }
}
