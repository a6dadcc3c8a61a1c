import Foundation
import Synchronization
import SwiftProtobuf

typealias ChatMessage = MesGrpc_Message

/// The one order of messages, and the readers that are there.
final class Room: Sendable {
    private struct State {
        var last: Int64 = 0
        var nextReader = 0
        var readers: [Int: AsyncStream<ChatMessage>.Continuation] = [:]
    }

    private let state = Mutex(State())

    /// Hands a message to every reader, and returns when it was accepted.
    func append(author: String, text: String) -> Google_Protobuf_Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let time = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
        return self.state.withLock { state in
            state.last = max(state.last + 1, time)
            var message = ChatMessage()
            message.author = author
            message.text = text
            message.sendTime.seconds = state.last / 1_000_000_000
            message.sendTime.nanos = Int32(state.last % 1_000_000_000)
            for reader in state.readers.values {
                reader.yield(message)
            }
            return message.sendTime
        }
    }

    /// The messages that are accepted from now on, until the iteration is cancelled.
    func messages() -> AsyncStream<ChatMessage> {
        let (stream, continuation) = AsyncStream.makeStream(of: ChatMessage.self)
        let reader = self.state.withLock { state in
            state.nextReader += 1
            state.readers[state.nextReader] = continuation
            return state.nextReader
        }
        continuation.onTermination = { _ in
            self.state.withLock { state in
                _ = state.readers.removeValue(forKey: reader)
            }
        }
        return stream
    }
}
