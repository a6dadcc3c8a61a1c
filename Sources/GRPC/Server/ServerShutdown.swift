internal import CGRPC

/// The one operation of a server that is not a call's.
final class ServerShutdown: EventTarget {
    private let server: Server
    private let queue: CompletionQueue
    private let tag: UnsafeMutablePointer<cgrpc_tag>

    init(server: Server, queue: CompletionQueue) {
        self.server = server
        self.queue = queue
        tag = .allocate(capacity: 1)
    }

    deinit {
        tag.deallocate()
    }

    override var eventQueue: CompletionQueue { queue }

    /// Has the core begin; ``Server/shutdownCompleted()`` follows. `false` if the queue is shut down.
    func start() -> Bool {
        let started: Void? = queue.whileOpen {
            Tag(initializing: tag, operation: 0).retain(self)
            grpc_server_shutdown_and_notify(server.handle, queue.handle, tag)
        }
        return started != nil
    }

    override func operationCompleted(_: UInt32, succeeded: Bool) {
        server.shutdownCompleted()
    }
}
