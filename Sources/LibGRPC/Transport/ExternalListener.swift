internal import CGRPC

/// Where the core takes over accepted connections that use certain credentials: an `external:` listener.
///
/// `@unchecked`: the core's object is thread-safe. It lives until the server is shut down; the ``Acceptor`` stops
/// before.
struct ExternalListener: @unchecked Sendable {
    private let handle: UnsafeMutablePointer<cgrpc_external_listener>

    /// Hands over an accepted connection. The core closes it.
    func handOver(_ connection: Int32, from listener: Int32) {
        cgrpc_external_listener_hand_over(handle, listener, connection)
    }
}

extension ExternalListener {
    /// Makes the external listeners of one server, before it starts.
    ///
    /// `@unchecked`: only the task that starts the server uses the memory.
    final class Factory: @unchecked Sendable {
        /// Where the core stores each listener that it makes.
        private let place: UnsafeMutablePointer<UnsafeMutablePointer<cgrpc_external_listener>?>

        init() {
            place = .allocate(capacity: 1)
            place.initialize(to: nil)
        }

        /// The core's server must be gone.
        deinit {
            place.deallocate()
        }

        /// An argument for the creation of the server.
        var argument: grpc_arg { cgrpc_external_listener_argument(place) }

        /// Returns `nil` if the credentials are invalid.
        func make(for credentials: ServerCredentials, at server: OpaquePointer) -> ExternalListener? {
            let handle = credentials.withHandle { cgrpc_server_add_external_listener(server, place, $0) }
            return handle.map { ExternalListener(handle: $0) }
        }
    }
}
