internal import CGRPC
internal import Glibc

/// The operating system refused something.
public struct SystemError: Error, Sendable, CustomStringConvertible {
    /// What was being done, for example "listening on 0.0.0.0:51075".
    public let action: String
    /// The system's error number.
    public let errno: Int32

    private let reason: String

    /// - Parameter reason: What says more than the system's description of the number.
    init(doing action: String, errno: Int32, reason: String? = nil) {
        self.action = action
        self.errno = errno
        self.reason = reason ?? String(cString: strerror(errno))
    }

    /// The action, and the system's description of the error.
    public var description: String { "\(action): \(reason)" }
}

/// A thread of the system, for code that blocks in C functions.
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
    /// - Parameter name: What debuggers show, at most 15 bytes.
    /// - Returns: The thread's `pthread_t`.
    @discardableResult
    package static func start(named name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> UInt {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let error = pthread_create(&thread, nil, run, start.toOpaque())
        guard error == 0 else {
            start.release()
            throw SystemError(doing: "starting a thread", errno: error)
        }
        pthread_detach(thread)
        return UInt(thread)
    }

    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        cgrpc_set_thread_name(start.name)
        start.body()
        return nil
    }
}
