/// What this library does itself beside the core's transport: the code in this folder. You can skip it on a first
/// reading, because the binding also works without it.
///
/// | part | what it is for |
/// |---|---|
/// | ``Acceptor``, ``Connection`` | a server knows the connection of each call, limits and closes connections, and continues to accept when descriptors are free again |
/// | ``ExternalListener`` | the same for connections with TLS |
/// | ``WriteCoalescer`` | what a turn sends on one connection leaves in one write |
/// | ``ChannelSocket`` | a channel coalesces writes too, counts its connections and closes them |
enum Transport: Sendable {
    /// All of it.
    case full
    /// Without the parts that need private structures of the core: TLS and channels.
    case publicOnly
    case off

    init(for core: CoreVersion) {
        self = core.isKnown ? .full : .publicOnly
    }

    /// Whether the server accepts connections with these credentials itself.
    func accepts(_ credentials: ServerCredentials) -> Bool {
        switch self {
        case .full: true
        case .publicOnly: credentials.isInsecure
        case .off: false
        }
    }

    /// Whether channels see their sockets.
    var watchesSockets: Bool { self == .full }
}
