/// Why a program could not start or go on: one line for whoever runs it, and the process's exit code.
public struct StartError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of obstacle it was.
    public struct Code: Sendable, Hashable {
        /// The process's exit code, of those in `sysexits.h`.
        public let exitCode: Int32

        /// What was asked about is not well (1, as container engines want it of a health check).
        public static let unhealthy = Code(exitCode: 1)
        /// A flag holds a value that is not allowed (`EX_USAGE`, 64).
        public static let badUsage = Code(exitCode: 64)
        /// What the program was to go on from is damaged or not for it (`EX_DATAERR`, 65).
        public static let badData = Code(exitCode: 65)
        /// A service that the program needs is not to be had, such as a free port (`EX_UNAVAILABLE`, 69).
        public static let unavailable = Code(exitCode: 69)
        /// The program lacks a permission (`EX_NOPERM`, 77).
        public static let notPermitted = Code(exitCode: 77)
        /// An environment variable holds a value that is not allowed (`EX_CONFIG`, 78).
        public static let badConfiguration = Code(exitCode: 78)
    }

    /// The kind of obstacle.
    public var code: Code
    /// One sentence that names what to change.
    public var message: String

    /// Creates an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { self.message }
}
