internal import Glibc

/// The operating system refused something.
public struct SystemError: Error, Sendable, CustomStringConvertible {
    /// What was being done: "listening on 0.0.0.0:51075" for example.
    public let action: String
    /// The system's error number.
    public let errno: Int32

    init(doing action: String, errno: Int32) {
        self.action = action
        self.errno = errno
    }

    /// What was being done, and the system's words for why it failed.
    public var description: String { "\(action): \(String(cString: strerror(errno)))" }
}
