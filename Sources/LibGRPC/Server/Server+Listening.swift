internal import CGRPC
internal import Synchronization

extension Server {
    /// Starts listening and answering calls. Call it once.
    ///
    /// - Returns: The ports, in the order of the addresses; 0 for a `unix:` address.
    /// - Throws: ``ServerStartError``. The server is shut down then, unless the error is ``ServerStartError/notIdle``.
    public func start(listeningOn addresses: [ListenAddress]) async throws(ServerStartError) -> [Int] {
        do throws(ServerStartError) {
            guard case .idle = lifecycle.withLock(\.self) else { throw .notIdle }
            let sockets = try await Self.listen(on: addresses)
            try lifecycle.withLock { lifecycle throws(ServerStartError) in
                try start(&lifecycle, Array(zip(addresses, sockets)))
            }
            return sockets.map { Int($0[0].port) }
        } catch {
            if case .notIdle = error {} else { await shutDown(gracePeriod: .zero) }
            throw error
        }
    }

    /// Where the started server listens, in numeric form: `127.0.0.1:51075`, `[::]:51075`, `unix:/run/socket`.
    public var addresses: [String] { listening.withLock(\.self) }

    /// Opens the sockets of each address, at least one, on a thread of their own: to resolve a name may take seconds.
    private static func listen(on addresses: [ListenAddress]) async throws(ServerStartError) -> [[ListeningSocket]] {
        let result: Result<[[ListeningSocket]], SystemError> = await withCheckedContinuation { continuation in
            do throws(SystemError) {
                try Thread.start(named: "grpc-listen") {
                    var sockets: [[ListeningSocket]] = []
                    do throws(SystemError) {
                        for address in addresses { sockets.append(try ListeningSocket.listen(on: address.address)) }
                        continuation.resume(returning: .success(sockets))
                    } catch {
                        for socket in sockets.joined() { socket.close() }
                        continuation.resume(returning: .failure(error))
                    }
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        do {
            return try result.get()
        } catch {
            throw .cannotListen(error)
        }
    }

    private func start(
        _ lifecycle: inout Lifecycle,
        _ listeners: [(address: ListenAddress, sockets: [ListeningSocket])]
    ) throws(ServerStartError) {
        var accepted: [ListeningSocket] = []
        var rest = listeners[...]
        do throws(ServerStartError) {
            guard case .idle = lifecycle else { throw .notIdle }
            // From here on the group's shutdown shuts down this server first: that needs its queues.
            guard group.serverBegan(self) else { throw .groupIsShutDown }
            lifecycle = .running
            while let (address, sockets) = rest.popFirst() { accepted += try hand(sockets, of: address) }
        } catch {
            // Not those that are closed already: their descriptors may be somebody else's by now.
            for socket in accepted + rest.flatMap(\.sockets) { socket.close() }
            throw error
        }
        listening.withLock { $0 = listeners.flatMap { $0.sockets.map(\.address) } }
        grpc_server_start(handle)
        postSlots()
        startTicking()
        do {
            try acceptor.start(accepted)
            try floodGuard.start(watching: group.queues, of: acceptor)
        } catch {
            throw .cannotListen(error)
        }
    }

    /// Returns the sockets that the ``Acceptor`` is to accept from. If that is not its part, the core listens instead. If
    /// this fails, the sockets are closed.
    private func hand(
        _ sockets: [ListeningSocket],
        of address: ListenAddress
    ) throws(ServerStartError) -> [ListeningSocket] {
        guard group.transport.accepts(address.credentials) else {
            try listenInCore(sockets, of: address)
            return []
        }
        if address.credentials.isInsecure { return sockets }
        guard let listener = externalListeners.make(for: address.credentials, at: handle) else {
            for socket in sockets { socket.close() }
            throw .badCredentials(address: address.address)
        }
        return sockets.map { socket in
            var socket = socket
            socket.externalListener = listener
            return socket
        }
    }

    /// The core does not say why it cannot listen, nor resolve names without blocking. So the sockets come first.
    private func listenInCore(_ sockets: [ListeningSocket], of address: ListenAddress) throws(ServerStartError) {
        for socket in sockets { socket.close() }
        // For the core, this is all addresses of both families.
        let isForAll = address.address.hasPrefix("*:")
        for text in isForAll ? ["[::]:\(sockets[0].port)"] : sockets.map(\.address) {
            let port = address.credentials.withHandle { grpc_server_add_http2_port(handle, text, $0) }
            guard port > 0 else { throw .badCredentials(address: address.address) }
        }
    }

    private func postSlots() {
        for awaited in awaited {
            for registration in registrations {
                for _ in 0..<registration.method.slotCount {
                    ServerCall(server: self, registration: registration, awaited: awaited).post()
                }
            }
        }
    }

    private func startTicking() {
        let task = Task {
            while true {
                do { try await Task.sleep(for: tick) } catch { return }
                for awaited in awaited { awaited.tick(isEnding: false) }
            }
        }
        ticking.withLock { $0 = task }
    }
}
