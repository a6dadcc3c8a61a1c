/// Why a program cannot start or continue: one line for the operator, and the exit code.
public struct StartError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of problem it is.
    public struct Code: Sendable, Hashable {
        /// The process's exit code, of those in `sysexits.h`.
        public let exitCode: Int32

        /// The health check failed (1, as container engines expect).
        public static let unhealthy = Code(exitCode: 1)
        /// A flag has a value that is not allowed (`EX_USAGE`, 64).
        public static let badUsage = Code(exitCode: 64)
        /// The stored data is damaged, or belongs to another program (`EX_DATAERR`, 65).
        public static let badData = Code(exitCode: 65)
        /// Something that the program needs is unavailable, such as its port (`EX_UNAVAILABLE`, 69).
        public static let unavailable = Code(exitCode: 69)
        /// The program lacks a permission (`EX_NOPERM`, 77).
        public static let notPermitted = Code(exitCode: 77)
        /// An environment variable has a value that is not allowed (`EX_CONFIG`, 78).
        public static let badConfiguration = Code(exitCode: 78)
    }

    /// The kind of problem.
    public var code: Code
    /// One sentence that names what to change.
    public var message: String

    /// Creates an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
