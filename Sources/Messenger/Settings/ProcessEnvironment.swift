/// Where settings look up environment variables.
public struct ProcessEnvironment: Sendable {
    private let lookup: @Sendable (String) -> String?

    /// Creates an environment that holds just these variables.
    public init(_ variables: [String: String]) {
        self.lookup = { variables[$0] }
    }

    private init(lookup: @escaping @Sendable (String) -> String?) {
        self.lookup = lookup
    }

    /// The environment of the process.
    public static let current = ProcessEnvironment(lookup: { Platform.environmentVariable($0) })

    /// The value of a variable; `nil` when it is not set.
    public subscript(name: String) -> String? {
        self.lookup(name)
    }
}
