import Messenger

@testable import Server

extension Room {
    /// Accepts a message into the store: when this returns, it is kept.
    func append(author: String, text: String, store: any HistoryStore) async throws(RoomError) -> SendTime {
        let result = await withCheckedContinuation { continuation in
            store.append(author: author, text: text) { continuation.resume(returning: $0) }
        }
        return try result.mapError(RoomError.init).get()
    }
}
