internal import CGRPC

/// Where a server's core takes connections with certain credentials that we have accepted: an `external:` listener.
///
/// `@unchecked`: the core's object may be used from any thread. It lives until the server is shut down, before which the
/// ``Acceptor`` stops.
struct Entrance: @unchecked Sendable {
    private let handle: UnsafeMutablePointer<cgrpc_entrance>

    /// Hands over a connection that a socket has accepted; the core closes it.
    func take(_ connection: Int32, from listener: Int32) {
        cgrpc_entrance_take(handle, listener, connection)
    }
}

extension Entrance {
    /// Makes entrances for one server, before that starts.
    ///
    /// `@unchecked`: the memory is used by the one who starts the server.
    final class Maker: @unchecked Sendable {
        /// Where the core puts each entrance that it makes.
        private let place: UnsafeMutablePointer<UnsafeMutablePointer<cgrpc_entrance>?>

        init() {
            place = .allocate(capacity: 1)
            place.initialize(to: nil)
        }

        /// The core's server must be gone.
        deinit {
            place.deallocate()
        }

        /// To be among the arguments of the server.
        var argument: grpc_arg { cgrpc_entrance_argument(place) }

        /// - Returns: `nil` if the credentials are no good.
        func make(for credentials: ServerCredentials, at server: OpaquePointer) -> Entrance? {
            let handle = credentials.withHandle { cgrpc_server_add_entrance(server, place, $0) }
            return handle.map { Entrance(handle: $0) }
        }
    }
}
