/// Why a server did not start.
public enum ServerStartError: Error, Sendable, CustomStringConvertible {
    /// An address is taken, not allowed or senseless.
    case cannotListen(SystemError)
    /// The certificate, the key or the authorities for an address are none, or do not fit together. The core's log says
    /// which: see ``CoreLog``.
    case badCredentials(address: String)
    /// Its ``CompletionQueueGroup`` has been shut down.
    case groupIsShutDown
    /// It has been started or shut down before.
    case notIdle

    /// One sentence for people.
    public var description: String {
        switch self {
        case .cannotListen(let error): "\(error)"
        case .badCredentials(let address): "the TLS certificate and key for \(address) cannot be used"
        case .groupIsShutDown: "the server's completion queues have been shut down"
        case .notIdle: "the server has been started or shut down before"
        }
    }
}
