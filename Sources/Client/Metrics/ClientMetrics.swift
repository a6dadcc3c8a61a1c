import CoreMetrics
import Messenger
import Prometheus

/// The client's metrics. docs/operations.md explains them.
struct ClientMetrics: Sendable {
    let registry = MetricsRegistry(MetricFamily.client + ProcessMetrics.families)

    /// Makes the process count. Call it once, before anything that counts is created.
    func bootstrap() {
        MetricsSystem.bootstrap(registry)
        ProcessMetrics.register(in: registry)
        registry.collect { samples in
            samples.add(.buildInfo, 1, [("version", Version.current)])
            samples.add(.droppedLogLines, Diagnostics.droppedLines)
        }
    }

    func observe(_ inbox: Inbox, capacity: ByteCount) {
        registry.collect { samples in
            let counters = inbox.counters
            samples.add(.inboxMessages, counters.messages)
            samples.add(.inboxBytes, counters.bytes)
            samples.add(.inboxCapacity, capacity.bytes)
            samples.add(.received, counters.received)
        }
    }

    func observe(_ subscription: Subscription) {
        registry.collect { samples in
            let status = subscription.status
            samples.add(.streamOpen, status.stream.isConnected ? 1 : 0)
            samples.add(.gaps, status.gaps)
            samples.add(.streamEnds, subscription.endedStreams)
        }
    }

    func observe(_ events: EventHub) {
        registry.collect { $0.add(.eventReaders, events.readerCount) }
    }
}

extension MetricFamily {
    static let client = [
        buildInfo, inboxMessages, inboxBytes, inboxCapacity, received, streamOpen, gaps, streamEnds, eventReaders,
        retriedSends, requests, requestSeconds, droppedLogLines,
    ]

    static let buildInfo = MetricFamily("messenger_build_info", .gauge, "1, with the version.")
    static let inboxMessages = MetricFamily(
        "messenger_inbox_messages",
        .gauge,
        "Messages in the buffer that wait to be fetched."
    )
    static let inboxBytes = MetricFamily("messenger_inbox_bytes", .gauge, "Memory that these messages use, in bytes.")
    static let inboxCapacity = MetricFamily(
        "messenger_inbox_capacity_bytes",
        .gauge,
        "The most that they may use. When it is full, the stream pauses."
    )
    static let received = MetricFamily(
        "messenger_messages_received_total",
        .counter,
        "Messages received from the server."
    )
    static let streamOpen = MetricFamily(
        "messenger_stream_open",
        .gauge,
        "1 if the stream from the server is open, else 0."
    )
    static let gaps = MetricFamily(
        "messenger_gaps_total",
        .counter,
        "How often messages were lost because the server no longer held them."
    )
    static let streamEnds = MetricFamily(
        "messenger_stream_ends_total",
        .counter,
        "How often the stream ended or could not be opened. A retry follows."
    )
    static let eventReaders = MetricFamily("messenger_event_readers", .gauge, "Readers of /events.")
    static let retriedSends = MetricFamily(
        "messenger_sends_retried_total",
        .counter,
        "Further attempts to send a message, because the server was away."
    )
    static let requests = MetricFamily(
        "http_requests_total",
        .counter,
        "HTTP requests that were answered, by route and status.",
        isSparse: true
    )
    static let requestSeconds = MetricFamily(
        "http_request_duration_seconds",
        .histogram,
        "Time from the head of an HTTP request to the beginning of its answer, in seconds."
    )
    static let droppedLogLines = MetricFamily(
        "messenger_log_lines_dropped_total",
        .counter,
        "Log lines that could not be written."
    )
}
