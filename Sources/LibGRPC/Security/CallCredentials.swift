internal import CGRPC

/// What identifies the caller in each call, such as an access token: metadata that is made when a call needs it.
///
/// Give it to a call with ``CallOptions/credentials``, or to all calls of a channel with
/// ``ChannelCredentials/composite(_:_:)``. If a call has both, it sends both. Thread-safe.
///
/// ```swift
/// let calls = CallCredentials { request in
///     let token = "a token for \(request.serviceURL)"
///     return ["authorization": .string("Bearer \(token)")]
/// }
/// let credentials = ChannelCredentials.composite(.tls(), calls)
/// ```
public struct CallCredentials: Sendable {
    /// The call that needs the metadata.
    public struct Request: Sendable, Hashable {
        /// The service's URL, such as `https://example.com/mes_grpc.MessengerServer`: the audience of a signed token.
        public var serviceURL: String
        /// The method's name within its service.
        public var method: String
    }

    private let plugin: Plugin

    /// - Parameters:
    ///   - allowsInsecure: Whether the metadata may be sent without encryption. If not, the default, a call on a
    ///     channel with ``ChannelCredentials/insecure`` fails with `UNAUTHENTICATED`.
    ///   - metadata: Returns the metadata to send. Called for each call, and again for each retry, in a task of its
    ///     own, while the deadline of the call runs. If it throws, or returns metadata that gRPC does not allow,
    ///     the call fails with `UNAVAILABLE`. The core does not say when the call is cancelled meanwhile.
    public init(
        allowsInsecure: Bool = false,
        _ metadata: @escaping @Sendable (Request) async throws -> Metadata
    ) {
        plugin = Plugin(Supplier(metadata), allowsInsecure ? GRPC_SECURITY_NONE : GRPC_PRIVACY_AND_INTEGRITY)
    }

    /// Adds the credentials to a call that has not begun.
    func add(to call: OpaquePointer) {
        // Fails only for a call of a server.
        grpc_call_set_credentials(call, plugin.handle)
    }

    /// Calls `body` with a handle that lives during the call only.
    func withHandle<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        defer { extendLifetime(plugin) }
        return body(plugin.handle)
    }
}

/// Owns the core's credentials.
///
/// `@unchecked`: they are immutable, and the core counts their references.
private final class Plugin: @unchecked Sendable {
    let handle: OpaquePointer

    init(_ supplier: Supplier, _ securityLevel: grpc_security_level) {
        Library.initialize()
        var plugin = grpc_metadata_credentials_plugin()
        plugin.state = Unmanaged.passRetained(supplier).toOpaque()
        plugin.destroy = { state in
            if let state { Unmanaged<Supplier>.fromOpaque(state).release() }
        }
        plugin.get_metadata = { state, context, done, call, _, _, _, _ in
            guard let state else { return 0 }
            let answer = Answer(done: done, call: call)
            Unmanaged<Supplier>.fromOpaque(state)._withUnsafeGuaranteedRef { $0.supply(context, answer) }
            return 0
        }
        plugin.type = cgrpc_call_credentials_type
        // Never NULL: the core aborts if it cannot allocate.
        handle = grpc_metadata_credentials_create_from_plugin(plugin, securityLevel, nil)
    }

    deinit {
        grpc_call_credentials_release(handle)
    }
}

/// Answers the core's requests for metadata.
private final class Supplier: Sendable {
    private let metadata: @Sendable (CallCredentials.Request) async throws -> Metadata

    init(_ metadata: @escaping @Sendable (CallCredentials.Request) async throws -> Metadata) {
        self.metadata = metadata
    }

    func supply(_ context: grpc_auth_metadata_context, _ answer: Answer) {
        let request = CallCredentials.Request(
            serviceURL: context.service_url.map { String(cString: $0) } ?? "",
            method: context.method_name.map { String(cString: $0) } ?? ""
        )
        // A task, because the core does not allow an answer before this function has returned.
        Task { [metadata] in
            do {
                answer.succeed(with: try CoreMetadata.make(try await metadata(request)))
            } catch {
                answer.fail("\(error)")
            }
        }
    }
}

/// Where the core expects the metadata of one call. Use it once.
///
/// `@unchecked`: the core takes the answer on any thread.
private struct Answer: @unchecked Sendable {
    let done: grpc_credentials_plugin_metadata_cb?
    let call: UnsafeMutableRawPointer?

    /// The core copies the metadata.
    func succeed(with metadata: CoreMetadata?) {
        done?(call, metadata?.entries, metadata?.count ?? 0, GRPC_STATUS_OK, nil)
        extendLifetime(metadata)
    }

    func fail(_ reason: String) {
        done?(call, nil, 0, GRPC_STATUS_UNAVAILABLE, reason)
    }
}
