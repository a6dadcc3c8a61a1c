import HTTPServing
import LibGRPC
import Messenger
import NIOCore
import NIOHTTP1
import Synchronization

/// `GET /messages`: messages that the room holds, as a JSON array. It takes nothing from the inbox.
final class MessagesRoute<Room: RemoteRoom>: Sendable {
    private let room: Room
    private let slots = ReadSlots(count: 100)

    private static var limits: ClosedRange<Int> { 1...10_000 }
    private static var defaultLimit: Int { 1000 }
    /// For all messages of one read, however slowly they are taken.
    private static var readTimeout: Duration { .seconds(600) }
    /// Chunks of the response from this size on are written at once.
    private static var chunkBytes: Int { 32 << 10 }

    init(room: Room) {
        self.room = room
    }

    var route: HTTPRoute {
        HTTPRoute("/messages", [.GET, .HEAD]) { [self] request throws(HTTPFailure) in
            let read = try Self.readRequest(HTTPQuery(request.head))
            let id = request.id
            return .task { () async throws(HTTPFailure) in .response(try await self.response(read, requestID: id)) }
        }
    }

    private static func readRequest(_ query: HTTPQuery) throws(HTTPFailure) -> ReadMessagesRequest {
        let last = try query.number("last", in: limits)
        let limit = try query.number("limit", in: limits) ?? last ?? defaultLimit
        guard let after = try query.time("after") else {
            let count = UInt32(min(last ?? limit, limit))
            return ReadMessagesRequest(last: count, untilNow: true, limit: count)
        }
        guard last == nil else { throw HTTPFailure(.badRequest, "Use either after or last, not both.") }
        return ReadMessagesRequest(after: after, untilNow: true, limit: UInt32(limit))
    }

    private func response(
        _ request: ReadMessagesRequest,
        requestID: String
    ) async throws(HTTPFailure) -> HTTPResponse {
        guard let slot = slots.take() else { throw .busy("Too many clients are reading; try again later.") }
        let messages: Messages
        do {
            messages = try await room.read(request, requestID: requestID, timeout: Self.readTimeout)
        } catch .gone(let heldAfter) {
            return Self.gone(heldAfter)
        } catch {
            throw HTTPFailure(error)
        }
        return HTTPResponse(body: ByteBuffer(staticString: "[")) { writer in
            var chunk = ByteBuffer()
            var separator: StaticString = ""
            for try await message in messages {
                chunk.writeStaticString(separator)
                chunk.writeJSON(message)
                separator = ","
                guard chunk.readableBytes >= Self.chunkBytes else { continue }
                try await writer.write(chunk)
                chunk = ByteBuffer()
            }
            chunk.writeStaticString("]")
            try await writer.write(chunk)
            _ = slot
        }
    }

    private static func gone(_ heldAfter: SendTime?) -> HTTPResponse {
        var body = ByteBuffer(
            staticString: #"{"sendTime":null,"error":"The room no longer holds the next messages.","heldAfter":"#
        )
        if let heldAfter { body.writeJSON(heldAfter) } else { body.writeStaticString("null") }
        body.writeStaticString("}")
        return HTTPResponse(status: .gone, body: body)
    }
}

/// A number of reads at the same time. Each is a stream on the connection to the server, which allows a limited number.
private final class ReadSlots: Sendable {
    private let count: Int
    private let taken = Atomic(0)

    init(count: Int) {
        self.count = count
    }

    /// `nil` if all are taken. The slot is free again when it is released.
    func take() -> Slot? {
        guard taken.add(1, ordering: .relaxed).newValue <= count else {
            taken.subtract(1, ordering: .relaxed)
            return nil
        }
        return Slot(slots: self)
    }

    final class Slot: Sendable {
        private let slots: ReadSlots

        fileprivate init(slots: ReadSlots) {
            self.slots = slots
        }

        deinit {
            slots.taken.subtract(1, ordering: .relaxed)
        }
    }
}

extension HTTPFailure {
    fileprivate init(_ error: ReadError) {
        let status: HTTPResponseStatus =
            switch error {
            case .gone: .gone
            case .invalid: .badRequest
            case .unavailable: .serviceUnavailable
            case .overloaded: .tooManyRequests
            case .refused, .failed: .badGateway
            }
        self.init(status, "\(error)")
    }
}
