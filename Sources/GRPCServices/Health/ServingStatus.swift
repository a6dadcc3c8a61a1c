/// Whether a service serves, as clients and load balancers ask for it.
public enum ServingStatus: Int32, Sendable, Hashable {
    case unknown = 0
    case serving = 1
    case notServing = 2
    /// The server does not know the service (yet).
    case serviceUnknown = 3
}
