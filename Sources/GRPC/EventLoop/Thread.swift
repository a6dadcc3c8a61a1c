internal import CGRPC
internal import Glibc

/// A thread of the system's, for those that wait in calls of C.
package enum Thread {
    private final class Start {
        let name: String
        let body: () -> Void

        init(name: String, body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Runs `body` on a new thread, which ends with it.
    /// - Parameter name: What debuggers show, 15 bytes at the most.
    package static func start(named name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let error = pthread_create(&thread, nil, run, start.toOpaque())
        guard error == 0 else {
            start.release()
            throw SystemError(doing: "starting a thread", errno: error)
        }
        pthread_detach(thread)
    }

    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        cgrpc_set_thread_name(start.name)
        start.body()
        return nil
    }
}
