import NIOCore

// Bodies that a source makes.

extension HTTPConnection {
    /// So many times within the request timeout the connection looks whether the peer has taken anything.
    private static let checksInTimeout = 4

    func begin(_ makeSource: (HTTPBodyWaker) -> any HTTPBodySource, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        outgoing?.source = makeSource(HTTPBodyWaker(eventLoop: context.eventLoop, connection: bound))
        stalledChecks = 0
        setDeadline(in: requestTimeout / Self.checksInTimeout)
    }

    func wakeSource() {
        if let context { writeResponse(context) }
    }

    /// Completes the body of a source and closes the connection. Waits for nothing: the peer may take nothing.
    func endSource() {
        guard let source = outgoing?.source else { return }
        source.end()
        outgoing?.source = nil
        outgoing?.isOpen = false
        if let context { writeResponse(context) }
        acknowledgements.abort()
    }

    /// Ends the response if the peer's TCP has acknowledged nothing for the request timeout, although something was sent.
    func checkSourceProgress() {
        guard outgoing?.source != nil else { return }
        stalledChecks = acknowledgements.hasProgressed() ? 0 : stalledChecks + 1
        guard stalledChecks < Self.checksInTimeout else { return acknowledgements.abort() }
        setDeadline(in: requestTimeout / Self.checksInTimeout)
    }
}
