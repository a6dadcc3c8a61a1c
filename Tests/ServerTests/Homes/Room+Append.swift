import Messenger

@testable import Server

extension Room {
    /// Accepts a message into the home: when this returns, it is kept.
    func append(author: String, text: String, home: any HistoryHome) async throws(RoomError) -> SendTime {
        let result = await withCheckedContinuation { continuation in
            home.append(author: author, text: text) { continuation.resume(returning: $0) }
        }
        return try result.mapError(RoomError.init).get()
    }
}
