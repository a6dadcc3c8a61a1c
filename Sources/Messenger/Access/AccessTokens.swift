internal import LibGRPC
public import Logging
internal import Synchronization

/// The tokens that a program accepts, from a file. Thread-safe.
public final class AccessTokens: Sendable {
    private let path: String
    private let setting: String
    private let grants: Mutex<[TokenDigest: AccessGrant]>
    /// One at a time rereads the file.
    private let rereading = Mutex<Void>(())

    /// Reads the file.
    ///
    /// - Parameter setting: The variable that errors name.
    public init(file path: String, setting: String) throws(StartError) {
        self.path = path
        self.setting = setting
        let file: TokensFile
        do {
            file = try TokensFile(path: path)
        } catch {
            throw StartError(.badConfiguration, "\(setting): \(path): \(error)")
        }
        grants = Mutex(Dictionary(uniqueKeysWithValues: file.entries.map { ($0.digest, AccessGrant($0)) }))
    }

    public var count: Int { grants.withLock(\.count) }

    /// Lets somebody do something, or not.
    ///
    /// - Parameters:
    ///   - authorization: The values of the metadata or header field `authorization`.
    ///   - right: What is to be done; empty for anything that needs a token, but no right. `send` counts as a message.
    public func admit(
        _ authorization: [[UInt8]],
        to right: AccessRights,
        now: ContinuousClock.Instant = .now
    ) throws(AccessRefusal) -> AccessGrant {
        guard authorization.count == 1, let token = AccessToken.bearer(in: authorization[0]) else { throw .noToken }
        guard let digest = TokenDigest(of: token), let grant = grants.withLock({ $0[digest] }) else {
            throw .unknownToken
        }
        try grant.check(right, now: now)
        return grant
    }

    /// Reads the file again. What goes on under tokens that are no longer in it ends. If the file is bad, nothing
    /// changes.
    public func reread(_ logger: Logger) {
        rereading.withLock { _ in
            do throws(InvalidSetting) {
                let change = replace(try TokensFile(path: path).entries)
                logger.info("tokens reread", metadata: change.merging(["setting": "\(setting)"]) { own, _ in own })
            } catch {
                logger.error(
                    "tokens not reread, the old ones stay",
                    metadata: ["setting": "\(setting)", "reason": "\(path): \(error)"]
                )
            }
        }
    }

    private func replace(_ entries: [TokensFile.Entry]) -> Logger.Metadata {
        var removed: [AccessGrant] = []
        var kept: [(AccessGrant, TokensFile.Entry)] = []
        var added = 0
        grants.withLock { grants in
            var old = exchange(&grants, with: [:])
            for entry in entries {
                if let grant = old.removeValue(forKey: entry.digest) {
                    grants[entry.digest] = grant
                    kept.append((grant, entry))
                } else {
                    grants[entry.digest] = AccessGrant(entry)
                    added += 1
                }
            }
            removed = Array(old.values)
        }
        var ended = 0
        for grant in removed { ended += grant.update(nil) }
        for (grant, entry) in kept { ended += grant.update(entry) }
        let counts = ["tokens": entries.count, "added": added, "removed": removed.count, "ended": ended]
        return counts.mapValues { "\($0)" }
    }
}
