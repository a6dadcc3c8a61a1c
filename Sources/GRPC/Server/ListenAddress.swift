/// Where a server listens, and what connections there must show.
///
/// A string literal is an address without encryption: `"127.0.0.1:50051"`.
public struct ListenAddress: Sendable, ExpressibleByStringInterpolation {
    /// `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`; port 0 for any that is free. `*:PORT` is every address of this machine,
    /// `0.0.0.0` every one of IPv4, `[::]` every one of IPv6.
    ///
    /// The socket of `unix:PATH` is for programs of the same user (mode 0600). One that an ended process left there is
    /// replaced; if another program listens there, the start fails.
    public var address: String
    /// What connections to this address are shown and must show.
    public var credentials: ServerCredentials

    /// An address with its credentials.
    public init(_ address: String, credentials: ServerCredentials = .insecure) {
        self.address = address
        self.credentials = credentials
    }

    /// An address without encryption.
    public init(stringLiteral address: String) {
        self.init(address)
    }

    /// Listens with sockets of our own, at least one.
    func listen() throws(ServerStartError) -> [ListeningSocket] {
        do {
            return try ListeningSocket.listen(on: address)
        } catch {
            throw .cannotListen(error)
        }
    }
}
