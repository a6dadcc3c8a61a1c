package import NIOCore

/// The body of a response that goes on as long as the peer listens, such as a stream of events. It needs no task.
///
/// The connection calls it on its event loop, and only there it may be used.
package protocol HTTPBodySource: AnyObject {
    /// What to write next. The connection asks when the peer can take it, and again after ``HTTPBodyWaker/wake()``.
    func next() -> HTTPBodyPart

    /// There will be no further call: the body has ended, the peer has left, or the server is stopping.
    func end()
}

/// The next part of a body.
package enum HTTPBodyPart: Sendable {
    case chunk(ByteBuffer)
    /// Nothing yet. The source wakes the connection when there is something.
    case nothingYet
    /// The body is complete.
    case end
}

/// Makes a connection ask its source again.
package struct HTTPBodyWaker: Sendable {
    package let eventLoop: any EventLoop
    let connection: NIOLoopBound<HTTPConnection>

    /// Called on the event loop. Does nothing while the peer cannot take more: the connection asks when it can.
    package func wake() {
        connection.value.wakeSource()
    }
}
