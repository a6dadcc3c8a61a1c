import NIOCore

// A permit may be withdrawn while a long response goes on.

extension HTTPConnection {
    /// Ends the connection if the permit is withdrawn before the response has ended. Returns `false` if it is already.
    func watchPermit(_ context: ChannelHandlerContext) -> Bool {
        guard let permit else { return true }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        endPermitWait = permit.whenWithdrawn {
            bound.eventLoop.execute { bound.value.permitWithdrawn() }
        }
        if endPermitWait == nil { acknowledgements.abort() }
        return endPermitWait != nil
    }

    func forgetPermit() {
        endPermitWait.take()?()
    }

    private func permitWithdrawn() {
        // The response may have ended meanwhile.
        if endPermitWait != nil { acknowledgements.abort() }
    }
}
