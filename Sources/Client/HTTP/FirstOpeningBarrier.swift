import ServiceLifecycle

/// Holds requests back until the stream from the server has been opened for the first time.
///
/// A message sent before could be missing from its sender's own inbox. Once the stream has been open, requests pass at
/// once, also while it is broken.
struct FirstOpeningBarrier<Room: RemoteRoom>: Sendable {
    let room: Room
    /// How long a request is held back at most.
    let timeout: Duration

    /// The given reply, at once or when the stream has been open.
    func reply(_ reply: @escaping @Sendable () -> HTTPReply) -> HTTPReply {
        if self.room.firstOpening.isOpen { return reply() }
        return .after { departure throws(HTTPFailure) in
            try await self.pass(departure)
            return reply()
        }
    }

    /// Waits until the stream has been open.
    ///
    /// - Parameter departure: Opens when whoever asked has gone.
    /// - Throws: ``HTTPFailure/notOpenYet`` when the time is up, when the program is stopping, or when whoever asked
    ///   has gone: then nothing may be sent or fetched for them.
    private func pass(_ departure: Gate) async throws(HTTPFailure) {
        let opening = self.room.firstOpening
        await cancelWhenGracefulShutdown { [timeout] in
            await withTaskGroup { group in
                group.addTask { _ = await opening.wait(atMost: timeout) }
                group.addTask { _ = await departure.wait() }
                await group.next()
                group.cancelAll()
            }
        }
        guard opening.isOpen, !departure.isOpen else { throw .notOpenYet }
    }
}
