internal import CGRPC

/// A client's connection to a service. It connects at the first call, and again whenever the connection breaks.
/// Thread-safe.
///
/// A call keeps the channel alive. The connection is closed when the last reference to the channel is gone.
///
/// ```swift
/// let channel = Channel(target: "dns:///greeter.example:443", credentials: .tls(), group: group)
/// print(try await channel.unary(Greeter.greet, "Ann"))
/// ```
///
/// `@unchecked`: the core's channel handle is thread-safe.
public final class Channel: @unchecked Sendable {
    let handle: OpaquePointer
    let group: CompletionQueueGroup
    let interceptors: [ClientInterceptor]
    let socket = ChannelSocket()
    let compresses: Bool

    /// - Parameters:
    ///   - target: A URI for the core's resolvers, such as `dns:///HOST:PORT` or `unix:/path`, percent-encoded if
    ///     needed. `HOST:PORT` works too, unless the host has the name of a resolver's scheme, such as `dns`.
    ///   - credentials: How the client authenticates itself, and which servers it trusts.
    ///   - interceptors: See each call, in this order.
    ///   - options: Limits and timing.
    ///   - group: The event loops of the channel's calls. A call that begins on the thread of one of them stays there.
    public init(
        target: String,
        credentials: ChannelCredentials = .insecure,
        interceptors: [ClientInterceptor] = [],
        options: ChannelOptions = ChannelOptions(),
        group: CompletionQueueGroup
    ) {
        self.interceptors = interceptors
        self.group = group
        compresses = options.compresses
        var arguments = options.arguments
        if group.transport.watchesSockets { arguments.set(socket) }
        // Never NULL: calls on a channel with a malformed target fail.
        handle = arguments.withCoreArguments { arguments in
            credentials.withHandle { grpc_channel_create(target, $0, arguments) }
        }
        group.channelBegan(socket)
    }

    deinit {
        group.channelEnded(socket)
        let core = CoreChannel(handle: handle)
        if core.isConnecting { core.destroyLater(socket) } else { core.destroy() }
    }

    /// The core's channel, after the last reference to ours is gone.
    ///
    /// `@unchecked`: the handle is thread-safe.
    private struct CoreChannel: @unchecked Sendable {
        let handle: OpaquePointer

        var isConnecting: Bool { grpc_channel_check_connectivity_state(handle, 0) == GRPC_CHANNEL_CONNECTING }

        func destroy() {
            grpc_channel_destroy(handle)
        }

        /// Ends the attempt to connect first. If it succeeded after the channel was destroyed, the core would never
        /// close the connection.
        func destroyLater(_ socket: ChannelSocket) {
            Task {
                while isConnecting {
                    socket.disconnect()
                    try? await Task.sleep(for: .milliseconds(10))
                }
                destroy()
            }
        }
    }
}
