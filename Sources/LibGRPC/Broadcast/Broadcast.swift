internal import Synchronization

/// Notifies many streams at once that there is something to send.
///
/// Streams that ``ResponseWriter/subscribe(to:next:)`` are not woken one by one. After a notification each
/// ``CompletionQueue`` sends to all its streams together, once it has handled the other events of its turn.
/// Thread-safe.
package final class Broadcast: Sendable {
    /// Returns the next encoded message for a stream, or `nil` if there is none yet. Then it is called again at the next
    /// notification. An error ends the subscription, ``End`` without a failure.
    ///
    /// It is one message ahead of the stream, so that the transport combines those that follow each other at once. It
    /// runs on the thread of the call's queue and must not block.
    package typealias Source = @Sendable () throws -> ByteBuffer?

    /// A source throws it when there is nothing more to send.
    package struct End: Error {
        package init() {}
    }

    private let shards: [BroadcastShard]

    /// - Parameter group: The group of the servers whose streams subscribe.
    package init(group: CompletionQueueGroup) {
        shards = group.queues.map(BroadcastShard.init)
    }

    /// Calls the source of each stream. A stream whose client does not read is skipped until it does.
    package func notify() {
        for shard in shards { shard.notify() }
    }

    /// The number of streams that subscribe now.
    package var subscribers: Int { shards.reduce(0) { $0 + $1.subscriberCount } }

    /// How many of these have a message in flight that their connection has not taken yet.
    package var waitingSubscribers: Int { shards.reduce(0) { $0 + $1.waitingCount.load(ordering: .relaxed) } }

    /// The number of messages that all streams have sent.
    package var sentMessages: Int { shards.reduce(0) { $0 + $1.sentCount.load(ordering: .relaxed) } }

    func shard(on queue: CompletionQueue) -> BroadcastShard? {
        shards.first { $0.queue === queue }
    }
}
