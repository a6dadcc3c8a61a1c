import Glibc
public import UnixSignals

extension [UnixSignal] {
    /// The signals that stop a program in order.
    ///
    /// A terminal that is closed sends SIGHUP. Under `nohup` that is ignored, and stays so.
    public static var stop: Self {
        var action = sigaction()
        sigaction(SIGHUP, nil, &action)
        let handler = action.__sigaction_handler.sa_handler
        let isIgnored = unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        return [.sigterm, .sigint] + (isIgnored ? [] : [.sighup])
    }
}
