package import NIOHTTP1

/// Decides for each request whether its sender may make it, unless its route is open.
package struct HTTPAdmission: Sendable {
    /// `path` has no query. Throws to refuse the request. Returns what the sender has shown, or `nil` if the request needs
    /// nothing. Called on the connection's event loop, which it must not block.
    package typealias Check =
        @Sendable (_ head: HTTPRequestHead, _ path: Substring.UTF8View) throws(HTTPFailure) -> (any HTTPPermit)?

    let check: Check

    package init(_ check: @escaping Check) {
        self.check = check
    }
}

/// A sender's permission, which may be withdrawn while a long response goes on.
package protocol HTTPPermit: Sendable {
    /// Calls back once if the permission is withdrawn, on any thread.
    ///
    /// - Returns: Ends the wait; `nil` if the permission has been withdrawn already.
    func whenWithdrawn(_ end: @escaping @Sendable () -> Void) -> (@Sendable () -> Void)?
}
