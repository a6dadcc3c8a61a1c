import Messenger

/// How much a store holds. Whatever is over goes, the oldest messages first; the newest always stays.
struct Retention: Sendable {
    /// Most messages; at least 1.
    var messages = 10_000_000
    /// Most bytes of their authors and texts, each message with ``overhead``.
    var bytes = 1 << 30
    /// How long a message is held; `nil` for ever.
    var age: Duration?

    /// What a message takes beside its author and text, about, in bytes.
    static let overhead = 24

    /// How many messages there are, and their bytes.
    struct Load: Sendable, Equatable {
        var messages = 0
        var bytes = 0

        mutating func add(_ bytes: Int) {
            messages += 1
            self.bytes += bytes
        }

        mutating func remove(_ bytes: Int) {
            messages -= 1
            self.bytes -= bytes
        }
    }

    /// Whether anything has to go.
    func isPassed(by load: Load, oldest: SendTime, now: SendTime) -> Bool {
        load.messages > 1 && (load.messages > messages || load.bytes > bytes || oldest < expiry(now))
    }

    /// Whether the oldest message goes too, once some have to: down to a little below the limits, so that it is not for
    /// each new message that an old one has to be looked for.
    func goes(_ load: Load, oldest: SendTime, now: SendTime) -> Bool {
        guard load.messages > 1 else { return false }
        return load.messages > messages - min(messages / 8, 1000)
            || load.bytes > bytes - min(bytes / 8, 1 << 20)
            || oldest < expiry(now)
    }

    /// What was sent before this time is too old.
    func expiry(_ now: SendTime) -> SendTime {
        guard let age else { return SendTime(nanosecondsSinceEpoch: .min) }
        let (seconds, attoseconds) = age.components
        let wholeSeconds = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let nanoseconds = wholeSeconds.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        let expiry = now.nanosecondsSinceEpoch.subtractingReportingOverflow(nanoseconds.partialValue)
        let isLongerThanTime = wholeSeconds.overflow || nanoseconds.overflow || expiry.overflow
        return SendTime(nanosecondsSinceEpoch: isLongerThanTime ? .min : expiry.partialValue)
    }
}
