import LibGRPC
import Logging
import Messenger
import Synchronization

/// The token that the client shows to the server with each call, from a file. Thread-safe.
final class ServerToken: Sendable {
    /// For users, if the server does not accept it.
    static let refusal = "The server refuses this client's token."

    private let path: String
    private let authorization: Mutex<Metadata.Value>

    init(file path: String) throws(StartError) {
        self.path = path
        do {
            authorization = Mutex(try Self.authorization(in: path))
        } catch {
            throw StartError(.badConfiguration, "Cannot use the file that MESSENGER_TOKEN_FILE names: \(error)")
        }
    }

    var interceptor: ClientInterceptor {
        ClientInterceptor { [self] _, options in
            options.metadata.append(authorization.withLock(\.self), forKey: "authorization")
            return nil
        }
    }

    /// Reads the file again. If it is bad, the old token stays.
    func reread(_ logger: Logger) {
        let setting: Logger.Metadata = ["setting": "MESSENGER_TOKEN_FILE"]
        do throws(InvalidSetting) {
            let new = try Self.authorization(in: path)
            authorization.withLock { $0 = new }
            logger.info("token reread", metadata: setting)
        } catch {
            logger.error(
                "token not reread, the old one stays",
                metadata: setting.merging(["reason": "\(error)"]) { own, _ in own }
            )
        }
    }

    private static func authorization(in path: String) throws(InvalidSetting) -> Metadata.Value {
        let token = try SecretFile.line(in: path)
        guard AccessToken.isValid(token.utf8) else {
            throw InvalidSetting(
                "a token is up to \(AccessToken.maxLength) characters of printable ASCII without a space"
            )
        }
        return .string("Bearer \(token)")
    }
}
