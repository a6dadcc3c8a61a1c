internal import CGRPC
internal import Glibc
internal import Synchronization

/// Accepts the connections of a server and hands each to the core.
///
/// The core can accept too. But it does not say which connection a call is on, does not limit their number, and does
/// not wait when the process has no file descriptor left.
///
/// `@unchecked`: the core's server is thread-safe, and outlives the thread that uses it.
final class Acceptor: @unchecked Sendable {
    private let server: OpaquePointer
    private let options: ServerOptions
    private let maxConnections: Int
    private let connections = Mutex(ConnectionTable())
    private let state = Mutex(State.idle)
    /// The number of accepted connections.
    let accepted = Atomic(0)

    private enum State {
        case idle
        /// The thread runs; a byte in `stopSignal` ends it.
        case accepting(stopSignal: Int32)
        case stopping([CheckedContinuation<Void, Never>])
        case stopped
    }

    /// How long to wait for a free place. Looking for closed connections takes longer the more there are.
    private var pauseInMilliseconds: Int32 { Int32(clamping: max(50, maxConnections / 20)) }
    /// How often to log that there is no room: peers decide how often that happens.
    private static let complaintInterval = Duration.seconds(60)
    /// Most connections to accept from one socket in a row. Then the other sockets and the stop signal get their turn.
    private static let acceptedInARow = 64

    /// - Parameter server: The core's server. It must live until ``stop()`` has returned.
    init(server: OpaquePointer, options: ServerOptions) {
        self.server = server
        self.options = options
        maxConnections = options.possibleConnections
    }

    /// Starts accepting; ``stop()`` must follow. Call it once. The acceptor owns the sockets from now on.
    func start(_ sockets: [ListeningSocket]) throws(SystemError) {
        guard !sockets.isEmpty else { return }
        do throws(SystemError) {
            let stopSignal = cgrpc_signal_create()
            guard stopSignal >= 0 else { throw SystemError(doing: "accepting connections", errno: errno) }
            state.withLock { $0 = .accepting(stopSignal: stopSignal) }
            do throws(SystemError) {
                try Thread.start(named: "grpc-accept") { self.run(sockets, stopSignal) }
            } catch {
                close(stopSignal)
                throw error
            }
        } catch {
            state.withLock { $0 = .stopped }
            for socket in sockets { socket.close() }
            throw error
        }
    }

    /// Stops listening; connections stay open. Returns once no further connection will reach the server.
    func stop() async {
        await withCheckedContinuation { continuation in
            let isStopped = state.withLock { state in
                switch state {
                case .idle, .stopped:
                    state = .stopped
                    return true
                case .accepting(let stopSignal):
                    state = .stopping([continuation])
                    cgrpc_signal_send(stopSignal)
                case .stopping(let waiting):
                    state = .stopping(waiting + [continuation])
                }
                return false
            }
            if isStopped { continuation.resume() }
        }
    }

    /// All connections, including some that the core has closed.
    var all: [Connection] { connections.withLock(\.all) }

    /// Closes all connections, whether or not everything has been sent. The core would wait for peers that do not
    /// read.
    func disconnect() {
        for connection in connections.withLock(\.all) { connection.socket.disconnect() }
    }

    /// The connection of a call. `nil` for TLS over a Unix socket, because the core does not tell there.
    func connection(of call: OpaquePointer) -> Connection? {
        guard let peer = grpc_call_get_peer(call) else { return nil }
        defer { gpr_free(peer) }
        // The core names a connection from a file descriptor "fd:12", any other one by its peer's address.
        guard strncmp(peer, "fd:", 3) == 0 else { return connections.withLock { $0[peer: peer] } }
        let descriptor = strtol(peer + 3, nil, 10)
        return connections.withLock { $0[descriptor] }
    }
}

// MARK: - The thread

extension Acceptor {
    private func run(_ sockets: [ListeningSocket], _ stopSignal: Int32) {
        ServerCredentials.insecure.withHandle { acceptUntilStopped(sockets, stopSignal, $0) }
        for socket in sockets { socket.close() }
        close(stopSignal)
        let waiting = state.withLock { state in
            defer { state = .stopped }
            if case .stopping(let waiting) = state { return waiting }
            return []
        }
        for continuation in waiting { continuation.resume() }
    }

    private func acceptUntilStopped(
        _ sockets: [ListeningSocket],
        _ stopSignal: Int32,
        _ credentials: OpaquePointer?
    ) {
        var polled = [pollfd(fd: stopSignal, events: Int16(POLLIN), revents: 0)]
        polled += sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        var isFull = false
        var complaint: ContinuousClock.Instant?
        while true {
            // Without room, new connections wait in the kernel's queue.
            _ = isFull ? poll(&polled, 1, pauseInMilliseconds) : poll(&polled, nfds_t(polled.count), -1)
            guard polled[0].revents == 0 else { break }
            let wasFull = isFull
            isFull = !sockets.allSatisfy { acceptSome(of: $0, credentials) }
            if isFull, !wasFull, complaint.map({ .now - $0 > Self.complaintInterval }) ?? true {
                complaint = .now
                CoreLog.error("no room for another connection; new ones wait")
            }
        }
    }

    /// Whether another connection is allowed. Looks for closed connections only at the limit. It does so without the
    /// lock, because every arriving call needs that.
    private func hasRoom() -> Bool {
        let all = connections.withLock { $0.count < maxConnections ? nil : $0.all }
        guard let all else { return true }
        let closed = all.filter { !$0.socket.isOpen }
        return connections.withLock { connections in
            for connection in closed { connections.remove(connection) }
            return connections.count < maxConnections
        }
    }

    /// Accepts connections that wait at a socket, up to a limit. Returns `false` if there is no room for more.
    private func acceptSome(of socket: ListeningSocket, _ credentials: OpaquePointer?) -> Bool {
        for _ in 0..<Self.acceptedInARow {
            guard hasRoom() else { return false }
            var peer = SocketAddress()
            let descriptor = peer.accept(from: socket.descriptor)
            guard descriptor >= 0 else {
                switch errno {
                // The peer gave up before we accepted.
                case ECONNABORTED, EINTR, EPROTO: continue
                case EAGAIN: return true
                // No descriptor or memory left: wait until some is free.
                default: return false
                }
            }
            setSocketOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            // Also detect a peer that answers no pings because it does not acknowledge what it is sent.
            if let keepalive = options.keepalive {
                setSocketOption(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, keepalive.timeoutInMilliseconds)
            }
            let isNamedByPeer = socket.externalListener != nil
            let connection = Connection(descriptor: descriptor, peer: peer, isNamedByPeer: isNamedByPeer)
            connections.withLock { $0.insert(connection) }
            accepted.add(1, ordering: .relaxed)
            if let listener = socket.externalListener {
                HandshakeFailure.begins(on: connection)
                listener.handOver(descriptor, from: socket.descriptor)
            } else {
                grpc_server_add_channel_from_fd(server, descriptor, credentials)
            }
        }
        return true
    }
}
