extension ServerMethod {
    /// One request, and the messages of a broadcast as responses, until its source throws or the client is gone.
    /// ``Broadcast/End`` ends the call with OK.
    ///
    /// Like ``ResponseWriter/subscribe(to:next:)`` in a handler, but without a task, which saves 2.5 KiB per call.
    /// - Parameters:
    ///   - descriptor: The method.
    ///   - broadcast: Notifies about new messages.
    ///   - open: Opens a call without waiting. Returns the initial metadata, which is sent at once, and the source of
    ///     the messages.
    package static func serverStreaming<Request>(
        _ descriptor: MethodDescriptor<Request, ByteBuffer>,
        subscribingTo broadcast: Broadcast,
        open: @escaping @Sendable (Request, ServerContext) throws -> (initialMetadata: Metadata, next: Broadcast.Source)
    ) -> ServerMethod {
        ServerMethod(path: descriptor.path, isStreaming: true, readsFirstMessage: true) { call in
            do {
                let request = try call.decodeFirstMessage(descriptor.requests)
                let (metadata, next) = try open(request, ServerContext(call: call))
                try call.startSendingInitialMetadata(metadata)
                try call.subscribe(to: broadcast, next) { reason in
                    call.conclude(reason is Broadcast.End ? .success(nil) : .failure(reason))
                }.waitForSend()
            } catch {
                call.conclude(.failure(error))
            }
        }
    }
}

extension ResponseWriter<ByteBuffer> {
    /// Sends what `next` returns, until it throws or the call ends. `next` is called at the start, at each
    /// notification of the broadcast, and when the client has accepted the last message.
    ///
    /// For many streams that get the same messages, encoded once. It costs a fraction of a wake-up with a
    /// ``write(_:compressed:)``. Call it in the handler's own task, because a task made with `Task {}` runs on other
    /// threads. One at a time: a second one that overlaps fails with `INTERNAL`. Cancelling the task cancels the call.
    /// - Parameters:
    ///   - broadcast: Notifies about new messages. It belongs to the server's group.
    ///   - next: Returns the messages.
    /// - Throws: Always: what `next` throws, `CANCELLED` if the client is gone, `INTERNAL` with a ``MisuseError`` in
    ///   another task or with another group's broadcast.
    package func subscribe(to broadcast: Broadcast, next: @escaping Broadcast.Source) async throws {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                do {
                    _ = try call.subscribe(to: broadcast, next) { continuation.resume(throwing: $0) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            call.cancel()
        }
    }
}

extension ServerCall {
    /// Adds the call to the broadcast's streams. Calls `ended` with the reason when the subscription ends.
    fileprivate func subscribe(
        to broadcast: Broadcast,
        _ next: @escaping Broadcast.Source,
        _ ended: @escaping (any Error) -> Void
    ) throws(RPCError) -> BroadcastSubscriber {
        guard let shard = broadcast.shard(on: queue) else { throw .misuse(.foreignBroadcast) }
        guard queue.isCurrent else { throw queue.hasEnded ? .shutDown : .misuse(.foreignThread) }
        guard subscriber == nil else { throw .misuse(.concurrentSubscriptions) }
        guard !peerIsGone else { throw .peerIsGone }
        let subscriber = BroadcastSubscriber(call: self, shard: shard, next: next, ended: ended)
        self.subscriber = subscriber
        shard.add(subscriber)
        return subscriber
    }
}
