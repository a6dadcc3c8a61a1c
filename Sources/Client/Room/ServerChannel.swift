import LibGRPC
import Logging
import Messenger
import Synchronization

/// The channel to the server. It can be replaced by one with other certificates: new calls use it, and open ones stay
/// where they are. Thread-safe.
final class ServerChannel: Sendable {
    private struct State {
        var files: ClientTLSFiles
        var channel: Channel
    }

    private let state: Mutex<State>
    private let make: @Sendable (ChannelCredentials) -> Channel

    init(_ files: ClientTLSFiles, make: @escaping @Sendable (ChannelCredentials) -> Channel) {
        self.make = make
        state = Mutex(State(files: files, channel: make(files.credentials)))
    }

    var current: Channel { state.withLock(\.channel) }

    /// Takes the files of the settings as they are now. If one is bad, nothing changes.
    func reread(_ settings: ClientSettings, _ logger: Logger) {
        do throws(StartError) {
            let files = try settings.tlsFiles()
            state.withLock { state in
                guard files != state.files else { return }
                state = State(files: files, channel: make(files.credentials))
            }
            logger.info("certificates reread", metadata: ["setting": "MESSENGER_TLS_CA"])
        } catch {
            logger.error("certificates not reread, the old ones stay", metadata: ["reason": "\(error)"])
        }
    }
}

/// What the files for TLS contain.
struct ClientTLSFiles: Sendable, Equatable {
    enum Trust: Sendable, Equatable {
        /// No encryption.
        case nobody
        case system
        case authorities(PEM)
    }

    var trust: Trust
    var identity: TLSIdentity?

    var credentials: ChannelCredentials {
        switch trust {
        case .nobody: .insecure
        case .system: .tls(identity: identity)
        case .authorities(let authorities): .tls(trusting: authorities, identity: identity)
        }
    }
}
