import NIOCore
import NIOHTTP1

// What a route does until there is a response.

extension HTTPConnection {
    /// What a route has started. It may go on after the connection has closed.
    struct Work {
        let cancel: @Sendable () -> Void
        var endsWithConnection = false
        /// Whether it also ends when the peer sends no more, or the server stops.
        var endsWithInput = false
    }

    func answer(_ reply: () throws(HTTPFailure) -> HTTPReply) {
        guard let loop = context?.eventLoop else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        do throws(HTTPFailure) {
            switch try reply() {
            case .response(let response): respond(.success(response))
            case .callback(let start):
                let cancel = start { result in
                    loop.execute { bound.value.workEnded { $0.respond(result) } }
                }
                work = Work(cancel: cancel)
            case .task(let run): startTask(run)
            case .waitingTask(let run): startTask(run, endsWithInput: true)
            }
        } catch {
            respond(.failure(error))
        }
    }

    private func startTask(
        _ run: @escaping @Sendable () async throws(HTTPFailure) -> HTTPReply,
        endsWithInput: Bool = false
    ) {
        startWork(endsWithInput: endsWithInput) { () async in
            let result: Result<HTTPReply, HTTPFailure>
            do throws(HTTPFailure) { result = .success(try await run()) } catch { result = .failure(error) }
            return { connection in connection.answer { () throws(HTTPFailure) in try result.get() } }
        }
    }

    /// Runs a task that is cancelled when the connection has ended.
    /// - Parameter run: Returns what to do on the event loop at the task's end.
    func startWork(
        endsWithInput: Bool = false,
        _ run: @escaping @Sendable () async -> @Sendable (HTTPConnection) -> Void
    ) {
        guard let loop = context?.eventLoop else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let task = Task {
            let end = await run()
            loop.execute { bound.value.workEnded(end) }
        }
        work = Work(cancel: { task.cancel() }, endsWithConnection: true, endsWithInput: endsWithInput)
    }

    private func workEnded(_ end: (HTTPConnection) -> Void) {
        work = nil
        end(self)
        if isCancelled {
            work?.cancel()
            acknowledgements.abort()
        }
        leaveIfDone()
    }
}
