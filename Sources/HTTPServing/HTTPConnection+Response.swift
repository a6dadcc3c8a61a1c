import Glibc
import NIOCore
import NIOHTTP1

/// A response of which something has not been written yet.
struct OutgoingResponse {
    /// `nil` once it has been written.
    var head: HTTPResponseHead?
    /// What to write next.
    var chunk: ByteBuffer?
    var chunks: HTTPResponse.Chunks?
    /// Whether a task or the source makes more chunks.
    var isOpen: Bool
    var source: (any HTTPBodySource)?
    /// Counts the chunks.
    let memory: HTTPMemory
    /// The task waits until the peer can take its next chunk.
    var writing: CheckedContinuation<Void, any Error>?
    /// Whether the connection ends with it.
    let isLast: Bool
    let whenAcknowledged: (@Sendable () -> Void)?
}

extension HTTPConnection {
    /// After so many chunks the event loop's other connections have their turn.
    private static let chunksInARow = 8
    /// Chunks up to this size are not counted: a connection has at most one that the peer has not taken.
    private static let uncountedBytes = 4096
    /// How long to wait for memory for a chunk.
    private static let memoryRetryDelay = TimeAmount.milliseconds(20)

    /// An answer begins.
    private func observe(_ status: HTTPResponseStatus) {
        guard let context else { return }
        if let (observer, began) = observation.take() {
            let duration = Duration.nanoseconds((context.eventLoop.now - began).nanoseconds)
            observer(HTTPAnswer(status: status, duration: duration, requestID: requestID))
        } else if case .idle = state {
            server.observer?(HTTPAnswer(status: status, duration: .zero, requestID: nil))
        }
    }

    /// Responds to the request that has arrived, is arriving or could not be read.
    func respond(_ result: Result<HTTPResponse, HTTPFailure>) {
        guard let context else { return }
        let response =
            switch result {
            case .success(let response): response
            case .failure(let error):
                HTTPResponse(status: error.status, headers: error.headers, body: server.errorBody(error.message))
            }
        let request: HTTPRequestHead?
        let isLast: Bool
        switch state {
        case .idle: (request, isLast) = (nil, true)
        // The request's end may never come, or cannot be found.
        case .receiving(let head, _): (request, isLast) = (head, true)
        case .answering(let head):
            // In HTTP/1.0 the connection's end is the end of a body without a length.
            let hasNoEnd = head.version == .http1_0 && response.isChunked
            (request, isLast) = (head, isEnding || isReserved || head.endsConnection || hasNoEnd)
        case .responding, .closing: return
        }
        observe(response.status)
        let hasBody = request?.method != .HEAD
        outgoing = OutgoingResponse(
            head: responseHead(response, to: request, isLast: isLast),
            chunk: hasBody ? response.body : nil,
            chunks: hasBody ? response.chunks : nil,
            isOpen: hasBody && (response.stream != nil || response.source != nil),
            memory: response.memory ?? server.memory,
            isLast: isLast,
            whenAcknowledged: response.whenAcknowledged
        )
        state = .responding
        guard outgoing?.isOpen != true || watchPermit(context) else { return }
        if hasBody, let stream = response.stream { begin(stream, context) }
        if hasBody, let source = response.source { begin(source, context) }
        writeResponse(context)
    }

    private func responseHead(
        _ response: HTTPResponse,
        to request: HTTPRequestHead?,
        isLast: Bool
    ) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(7)
        if !response.headers.contains(name: "Content-Type") {
            headers.add(name: "Content-Type", value: "application/json")
        }
        if response.status == .notModified {
            // A length would be that of the answer which the peer has.
        } else if !response.isChunked {
            headers.add(name: "Content-Length", value: String(response.body.readableBytes))
        } else if request?.version == .http1_1, request?.method != .HEAD {
            headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        headers.add(name: "Date", value: HTTPDate.text(of: time(nil)))
        if isLast {
            headers.add(name: "Connection", value: "close")
        } else {
            headers.add(name: "Connection", value: "keep-alive")
            // A little less than the truth, for requests that are on their way at the end.
            let seconds = server.limits.idleTimeout.components.seconds
            headers.add(name: "Keep-Alive", value: "timeout=\(max(1, seconds - seconds / 20))")
        }
        if request != nil, let requestID { headers.add(name: "X-Request-Id", value: requestID) }
        headers.add(contentsOf: response.headers)
        return HTTPResponseHead(version: request?.version ?? .http1_1, status: response.status, headers: headers)
    }

    /// Writes as much as the peer takes and the memory allows.
    func writeResponse(_ context: ChannelHandlerContext) {
        // The end of a response delivers the next request from within. This loop writes its response, too.
        guard !isWriting else { return }
        isWriting = true
        defer { isWriting = false }
        var count = 0
        while outgoing != nil, context.channel.isActive, context.channel.isWritable {
            guard count < Self.chunksInARow else { return retryWriting(in: .zero, context) }
            switch writeChunk(context) {
            case .written: count += 1
            case .noMemory: return retryWriting(in: Self.memoryRetryDelay, context)
            case .nothingYet: return
            }
        }
    }

    private enum ChunkOutcome {
        case written
        /// There is no memory for the chunk now.
        case noMemory
        /// The next chunk has not been made yet.
        case nothingYet
    }

    private func retryWriting(in delay: TimeAmount, _ context: ChannelHandlerContext) {
        // A source may wake the connection while a retry is scheduled.
        guard writeRetry == nil else { return }
        writeRetry = context.eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            writeRetry = nil
            writeResponse(context)
        }
    }

    private func writeChunk(_ context: ChannelHandlerContext) -> ChunkOutcome {
        guard var response = outgoing.take() else { return .written }
        var chunk = response.chunk.take() ?? response.chunks?.next()
        if chunk == nil, let source = response.source {
            switch source.next() {
            case .chunk(let bytes): chunk = bytes
            case .nothingYet: break
            case .end:
                source.end()
                response.source = nil
                response.isOpen = false
            }
        }
        if chunk == nil, response.isOpen {
            response.writing.take()?.resume()
            outgoing = response
            return .nothingYet
        }
        var written: EventLoopPromise<Void>?
        if let bytes = chunk?.readableBytes, bytes > Self.uncountedBytes {
            guard response.memory.reserve(bytes) else {
                response.chunk = chunk
                outgoing = response
                return .noMemory
            }
            written = context.eventLoop.makePromise()
            written?.futureResult.whenComplete { [memory = response.memory] _ in memory.release(bytes) }
        }
        if let head = response.head.take() { context.write(Self.wrapOutboundOut(.head(head)), promise: nil) }
        if let chunk { context.write(Self.wrapOutboundOut(.body(.byteBuffer(chunk))), promise: written) }
        if !response.isOpen, response.chunks == nil || chunk == nil {
            finish(response, context)
        } else {
            outgoing = response
            context.flush()
        }
        return .written
    }

    // MARK: Bodies that a task writes

    private func begin(
        _ stream: @escaping @Sendable (HTTPBodyWriter) async throws -> Void,
        _ context: ChannelHandlerContext
    ) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let writer = HTTPBodyWriter(eventLoop: context.eventLoop, connection: bound)
        startWork { () async in
            let isComplete = (try? await stream(writer)) != nil
            return { connection in connection.streamEnded(isComplete: isComplete) }
        }
    }

    /// Takes the next chunk of the task, which waits until it and what is before it have been written.
    func write(_ chunk: ByteBuffer, then continuation: CheckedContinuation<Void, any Error>) {
        guard let context, outgoing?.isOpen == true else { return continuation.resume(throwing: CancellationError()) }
        // The response's beginning may not have been written yet.
        if outgoing?.chunk?.writeImmutableBuffer(chunk) == nil { outgoing?.chunk = chunk }
        outgoing?.writing = continuation
        writeResponse(context)
    }

    private func streamEnded(isComplete: Bool) {
        guard let context, outgoing != nil else { return }
        guard isComplete else { return acknowledgements.abort() }
        outgoing?.isOpen = false
        writeResponse(context)
    }

    private func finish(_ response: OutgoingResponse, _ context: ChannelHandlerContext) {
        forgetPermit()
        state = response.isLast ? .closing : .idle
        requestLimit.responseEnded()
        if !response.isLast { setDeadline(in: idleTimeout) }
        // NIO delivers the next request from within, if it has arrived.
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        if response.isLast {
            requestLimit.discard()
            // Only the output, and the peer's end is awaited: closing at once could take the response from the peer.
            acknowledgements.whenAcknowledged(response.whenAcknowledged ?? {})
            context.close(mode: .output, promise: nil)
            setDeadline(in: requestTimeout)
        } else {
            if let action = response.whenAcknowledged { acknowledgements.whenAcknowledged(action) }
            // The end may have come after the response had begun.
            if isEnding { closeIfIdle() }
        }
    }
}

/// The time in the `Date` field of responses, such as `Sun, 12 Sep 2021 10:25:22 GMT`.
enum HTTPDate {
    /// Names of days and months are English: the program never leaves the C locale.
    static func text(of second: time_t) -> String {
        var second = second
        var date = tm()
        guard gmtime_r(&second, &date) != nil else { return "" }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 40) { text in
            let length = strftime(text.baseAddress, text.count, "%a, %d %b %Y %H:%M:%S GMT", &date)
            return String(decoding: text[..<length].lazy.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }
}

extension HTTPResponse {
    /// Whether the body's length is not known when it begins.
    fileprivate var isChunked: Bool { chunks != nil || stream != nil || source != nil }
}
