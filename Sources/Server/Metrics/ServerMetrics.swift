import CoreMetrics
import LibGRPC
import Messenger
import Prometheus
import Synchronization

/// The server's metrics. docs/operations.md explains them.
final class ServerMetrics: Sendable {
    let registry: MetricsRegistry
    let readiness = Readiness()

    /// Makes the process count. Call it once, before anything that counts is created.
    init() {
        registry = MetricsRegistry(MetricFamily.server + ProcessMetrics.families)
        MetricsSystem.bootstrap(registry)
        ProcessMetrics.register(in: registry)
        registry.collect { [readiness] samples in
            samples.add(.buildInfo, 1, [("version", Version.current)])
            samples.add(.droppedLogLines, Diagnostics.droppedLines)
            samples.add(.isWritable, readiness.isWritable ? 1 : 0)
        }
    }

    func observe(_ room: Room<ByteBuffer>) {
        registry.collect { samples in
            let (messages, bytes, oldest) = room.state.withLock { state in
                (state.history.count, state.history.byteCount, state.history.oldest)
            }
            samples.add(.historyMessages, messages)
            samples.add(.historyBytes, bytes)
            if let oldest { samples.add(.historyOldest, Double(oldest.nanosecondsSinceEpoch) / 1e9) }
        }
    }

    func observe(_ service: MessengerService, _ log: CallLog, _ calls: CallMetrics) {
        let readers = service.readers
        let sent = service.sentFromStorage
        let readMessages = calls.method(MessengerMethods.readMessages.path)
        registry.collect { samples in
            samples.add(.readers, readMessages?.openStreams ?? 0)
            samples.add(.waitingReaders, readers.waitingSubscribers)
            if let cursors = service.cursors {
                let lag = service.room.lag(of: cursors)
                samples.add(.slowestReaderMessages, lag.messages)
                samples.add(.slowestReaderSeconds, lag.duration / .seconds(1))
            }
            if let readMessages {
                let count = readers.sentMessages + sent.load()
                samples.add(.messagesSent, count, readMessages.labels)
            }
            for (reason, count) in log.refusalTotals { samples.add(.refusedCalls, count, [("reason", reason)]) }
        }
    }

    /// - Parameter limit: How many connections may be open.
    func observe(_ server: Server, limit: Int) {
        // What counts must not keep the server.
        registry.collect { [weak server] samples in
            guard let server else { return }
            samples.add(.connections, server.openConnections)
            samples.add(.maxConnections, limit)
            samples.add(.acceptedConnections, server.acceptedConnections)
            samples.add(.openCalls, server.openCalls)
        }
    }
}

extension MetricFamily {
    static let server = [
        buildInfo, callsStarted, callsHandled, callSeconds, messagesReceived, messagesSent, refusedCalls,
        refusedSends, openCalls, connections, maxConnections, acceptedConnections, readers, waitingReaders,
        slowestReaderMessages, slowestReaderSeconds, historyMessages, historyBytes, historyOldest, isWritable,
        commitSeconds, committedMessages, droppedLogLines,
    ]

    static let buildInfo = MetricFamily("messenger_build_info", .gauge, "1, with the version.")

    // The names of gRPC's usual middleware.
    static let callsStarted = MetricFamily(
        "grpc_server_started_total",
        .counter,
        "Calls that reached their method."
    )
    static let callsHandled = MetricFamily(
        "grpc_server_handled_total",
        .counter,
        "Calls that have ended, by status.",
        isSparse: true
    )
    static let callSeconds = MetricFamily(
        "grpc_server_handling_seconds",
        .histogram,
        "Time from a unary call's request to its response, in seconds."
    )
    static let messagesReceived = MetricFamily(
        "grpc_server_msg_received_total",
        .counter,
        "Requests received, of methods with one request."
    )
    static let messagesSent = MetricFamily(
        "grpc_server_msg_sent_total",
        .counter,
        "Responses sent, of unary methods and ReadMessages."
    )

    static let refusedCalls = MetricFamily(
        "messenger_calls_refused_total",
        .counter,
        "Calls that were refused before their method, by reason."
    )
    static let refusedSends = MetricFamily(
        "messenger_sends_refused_total",
        .counter,
        "Messages that the storage did not accept: full, busy, or away (cannot be used)."
    )
    static let openCalls = MetricFamily("messenger_calls_open", .gauge, "Calls in progress, streams included.")
    static let connections = MetricFamily("messenger_connections_open", .gauge, "Open connections.")
    static let maxConnections = MetricFamily(
        "messenger_connections_max",
        .gauge,
        "The most connections that may be open. Further ones wait."
    )
    static let acceptedConnections = MetricFamily(
        "messenger_connections_accepted_total",
        .counter,
        "Connections accepted."
    )
    static let readers = MetricFamily("messenger_readers", .gauge, "Open streams of ReadMessages.")
    static let waitingReaders = MetricFamily(
        "messenger_readers_stalled",
        .gauge,
        "Streams of these whose connection takes no more at the moment."
    )
    static let slowestReaderMessages = MetricFamily(
        "messenger_slowest_reader_lag_messages",
        .gauge,
        "Messages in memory that the slowest stream of ReadMessages has not taken."
    )
    static let slowestReaderSeconds = MetricFamily(
        "messenger_slowest_reader_lag_seconds",
        .gauge,
        "How long ago the first of these messages was sent, in seconds."
    )
    static let historyMessages = MetricFamily("messenger_history_messages", .gauge, "Messages held in memory.")
    static let historyBytes = MetricFamily(
        "messenger_history_bytes",
        .gauge,
        "What these messages count against MESSENGER_HISTORY_BYTES."
    )
    static let historyOldest = MetricFamily(
        "messenger_history_oldest_timestamp_seconds",
        .gauge,
        "When the oldest of these messages was sent, in seconds since 1970."
    )
    static let isWritable = MetricFamily(
        "messenger_history_writable",
        .gauge,
        "1 if messages can be stored, as far as is known, else 0."
    )
    static let commitSeconds = MetricFamily(
        "messenger_history_commit_seconds",
        .histogram,
        "Time to store a batch of messages beyond memory, in seconds."
    )
    static let committedMessages = MetricFamily(
        "messenger_history_commit_messages_total",
        .counter,
        "Messages in these batches."
    )
    static let droppedLogLines = MetricFamily(
        "messenger_log_lines_dropped_total",
        .counter,
        "Log lines that could not be written."
    )
}
