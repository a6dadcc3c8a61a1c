import NIOCore
import NIOHTTP1

/// Bounds what arrives, before NIO's decoder: the memory that requests use, and bytes that never become a request.
///
/// NIO reads nothing while a response is awaited, except if the peer closes its side: then it reads all that is there.
final class RequestLimitHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = NIOAny

    private enum Phase { case head, body, response }

    /// How much is read at once. Parsed requests need ten times their bytes.
    static let readBytes = 2048
    /// What a request uses in addition to its bytes: the pipeline's state, and the requests of one read.
    private static let requestBytes = 24 * 1024

    /// Why the connection ends, if NIO's decoder is not the one that refuses.
    private(set) var refusal: HTTPFailure?

    private let limits: HTTPLimits
    private let memory: HTTPMemory
    private let healthChecks: [String]
    private var phase = Phase.head
    /// What has been reserved of ``memory``.
    private var reserved = 0
    /// What has arrived of a head, or after it; and how much of that was the body.
    private var received = 0
    private var bodyReceived = 0
    private var hasRequestLine = false
    private var isDiscarding = false

    /// - Parameter healthChecks: How the requests begin that are answered however little memory is left.
    init(limits: HTTPLimits, memory: HTTPMemory, healthChecks: [String]) {
        self.limits = limits
        self.memory = memory
        self.healthChecks = healthChecks
    }

    // MARK: Called by the connection

    /// A request's head has been read.
    func headEnded() {
        phase = .body
        received = 0
        bodyReceived = 0
    }

    func bodyArrived(_ bytes: Int) {
        bodyReceived += bytes
    }

    func requestEnded() {
        phase = .response
    }

    func responseEnded() {
        phase = .head
        received = 0
        hasRequestLine = false
    }

    /// Ignores all that arrives from now on.
    func discard() {
        isDiscarding = true
        setReserved(0)
    }

    /// Whether a request's first line has not ended yet, or is too long. It has ended if the request came with the last one.
    var isInRequestLine: Bool { phase == .head && received > 0 && !hasRequestLine }

    // MARK: Called by NIO

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDiscarding else { return }
        let bytes = unwrapInboundIn(data)
        // The buffer of a body may be twice as long as it. Requests behind the current one are parsed already.
        let count = bytes.readableBytes
        let cost = count * (phase == .response ? 12 : 2) + (reserved == 0 ? Self.requestBytes : 0)
        if memory.reserve(cost) {
            reserved += cost
        } else if reserved > 0 || !isHealthCheck(bytes) {
            return refuse(.outOfMemory, context)
        }
        if phase == .head, !hasRequestLine, let end = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            hasRequestLine = received + end - bytes.readerIndex <= limits.headerBytes / 2
        }
        received += count
        context.fireChannelRead(data)
        // NIO's decoder bounds fields and target, but neither white space before them nor what surrounds chunks.
        switch phase {
        case .head where received > 0:
            if received > 2 * limits.headerBytes {
                refuse(hasRequestLine ? .headersTooLong : .targetTooLong, context)
            }
        case .body where received > limits.headerBytes + 9 * bodyReceived: refuse(.invalidHTTP, context)
        default: break
        }
    }

    /// All that arrived before has reached the connection, and earlier requests have been answered.
    func read(context: ChannelHandlerContext) {
        if received == 0, phase == .head {
            setReserved(0)
        } else {
            setReserved(min(reserved, 2 * received + Self.requestBytes))
        }
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        setReserved(0)
    }

    /// Ends the connection with a response. NIO's pipelining gives an error of the decoder its turn.
    private func refuse(_ failure: HTTPFailure, _ context: ChannelHandlerContext) {
        guard !isDiscarding else { return }
        refusal = failure
        isDiscarding = true
        context.fireErrorCaught(HTTPParserError.unknown)
    }

    private func isHealthCheck(_ bytes: ByteBuffer) -> Bool {
        bytes.readableBytes <= 1024 && healthChecks.contains { bytes.readableBytesView.starts(with: $0.utf8) }
    }

    private func setReserved(_ bytes: Int) {
        memory.release(reserved - bytes)
        reserved = bytes
    }
}
