internal import Synchronization

/// A token that is accepted, with what goes on under it. Thread-safe.
public final class AccessGrant: Sendable {
    /// Ends what goes on under a token.
    public typealias End = @Sendable (AccessRefusal) -> Void

    private struct State {
        var name: String
        /// `nil` once the token is removed.
        var rights: AccessRights?
        var bucket: TokenBucket?
        var uses: [Int: (right: AccessRights, end: End)] = [:]
        var lastID = 0

        func refusal(_ right: AccessRights) -> AccessRefusal? {
            guard let rights else { return .unknownToken }
            return rights.isSuperset(of: right) ? nil : .noRight(right)
        }
    }

    private let state: Mutex<State>

    init(_ entry: TokensFile.Entry) {
        state = Mutex(State(name: entry.name, rights: entry.rights, bucket: entry.rate.map(TokenBucket.init)))
    }

    /// Who holds the token, for the log.
    public var name: String { state.withLock(\.name) }

    /// Checks that the token has a right. Each check for `send` counts as a message.
    func check(_ right: AccessRights, now: ContinuousClock.Instant) throws(AccessRefusal) {
        let refusal = state.withLock { state -> AccessRefusal? in
            if let refusal = state.refusal(right) { return refusal }
            guard right.contains(.send), let wait = state.bucket?.take(now: now), let rate = state.bucket?.rate else {
                return nil
            }
            return .overRate(rate, wait: wait)
        }
        if let refusal { throw refusal }
    }

    /// Notes that something long goes on under the token.
    ///
    /// - Parameter end: Called if the token is removed, or loses the right. On any thread; it must not block.
    /// - Returns: What ``release(_:)`` needs.
    public func hold(_ right: AccessRights, end: @escaping End) throws(AccessRefusal) -> Int {
        let result = state.withLock { state -> Result<Int, AccessRefusal> in
            if let refusal = state.refusal(right) { return .failure(refusal) }
            state.lastID += 1
            state.uses[state.lastID] = (right, end)
            return .success(state.lastID)
        }
        return try result.get()
    }

    /// What was held has ended.
    public func release(_ id: Int) {
        state.withLock { _ = $0.uses.removeValue(forKey: id) }
    }

    /// Takes what the file says now; `nil` if the token is no longer in it. A bucket with the same rate stays as it is.
    ///
    /// - Returns: How many uses had to end.
    func update(_ entry: TokensFile.Entry?) -> Int {
        let ended = state.withLock { state in
            state.name = entry?.name ?? state.name
            state.rights = entry?.rights
            if state.bucket?.rate != entry?.rate { state.bucket = entry?.rate.map(TokenBucket.init) }
            return state.uses.compactMap { id, use in state.refusal(use.right).map { (id, use.end, $0) } }
        }
        for (id, end, refusal) in ended {
            release(id)
            end(refusal)
        }
        return ended.count
    }
}
