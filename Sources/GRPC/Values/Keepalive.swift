internal import CGRPC

/// Pings that find out when the other side has gone silently: frozen, unplugged, behind a dropped NAT entry.
///
/// Both ends should use the same values: a server closes a connection that pings more often than it allows, with `GOAWAY`
/// and `too_many_pings`. Other libraries' servers allow one in five minutes by default, and none without a call.
public struct Keepalive: Sendable, Hashable {
    /// A ping is sent after this long without anything from the other side. At least 1 s.
    public var interval: Duration
    /// The connection is closed when a ping is not answered for this long.
    public var timeout: Duration

    /// An interval below 1 s becomes 1 s.
    public init(interval: Duration, timeout: Duration) {
        self.interval = max(interval, .seconds(1))
        self.timeout = timeout
    }

    /// Notices a silent peer within 20 s.
    public static let `default` = Keepalive(interval: .seconds(10), timeout: .seconds(10))

    var timeoutInMilliseconds: Int32 { Int32(min(max(timeout / .milliseconds(1), 0), Double(Int32.max))) }

    func add(to arguments: inout CoreArguments) {
        arguments.setMilliseconds(GRPC_ARG_KEEPALIVE_TIME_MS, interval)
        arguments.setMilliseconds(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, timeout)
        arguments.set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, true)
        // No limit to pings on a connection without other traffic: an idle stream is just that.
        arguments.set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0)
        // What is tolerated of the other side: half the interval, so that jitter does not count as abuse.
        arguments.setMilliseconds(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, interval / 2)
    }
}
