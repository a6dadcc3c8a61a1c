import Messenger
import NIOCore
import NIOHTTP1
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct FlushMessagesTests {
    @Test func answersAsTheAssignmentShowsAndEmptiesTheInbox() async throws {
        let inbox = Inbox(capacity: .mebibytes(1))
        try await inbox.append(.numbered(0))
        try await inbox.append(.numbered(1, author: "Petr", text: "hey Ivan"))
        try await withHTTP(inbox: inbox) { client in
            try await client.execute(uri: "/getAndFlushMessages", method: .POST) { response in
                #expect(response.status == .ok)
                #expect(response.header("Content-Type") == "application/json")
                #expect(response.header("Content-Length") == String(response.body.readableBytes))
                #expect(
                    response.text
                        == #"[{"author":"Ivan","text":"hey","sendTime":"2021-09-12T10:25:22.454093428Z"},"#
                        + #"{"author":"Petr","text":"hey Ivan","sendTime":"2021-09-12T10:25:22.454093429Z"}]"#
                )
            }
            try await client.execute(uri: "/getAndFlushMessages?x", method: .POST) { #expect($0.text == "[]") }
        }
        #expect(inbox.counters.messages == 0)
    }

    @Test func anyBodyIsIgnored() async throws {
        try await withHTTP { client in
            try await client.execute(uri: "/getAndFlushMessages", method: .POST, body: ByteBuffer(string: "{]")) {
                #expect($0.text == "[]")
            }
        }
    }

    @Test func aLongListIsStreamed() async throws {
        let inbox = Inbox(capacity: .mebibytes(64))
        for number in 0..<10_000 {
            try await inbox.append(.numbered(number, text: "hey \(number)"))
        }
        try await withHTTP(inbox: inbox) { client in
            try await client.execute(uri: "/getAndFlushMessages", method: .POST) { response in
                #expect(response.header("Transfer-Encoding") == "chunked")
                #expect(response.header("Content-Length") == nil)
                var reader = JSONReader(Array(buffer: response.body))
                try reader.skipValue()
                try reader.readEnd()
                #expect(response.text.split(separator: "\"hey ").count == 10_001)
            }
        }
        #expect(inbox.counters.messages == 0)
    }

    @Test(arguments: [SubscriptionStatus.Stream.connecting, .reconnecting, .closed])
    func afterTheFirstOpeningItAnswersAtOnceAlsoWhileTheStreamIsBroken(stream: SubscriptionStatus.Stream) async throws {
        let room = FakeRoom(subscription: SubscriptionStatus(stream: stream, gaps: 0))
        try await withHTTP(room: room) { client in
            try await client.execute(uri: "/getAndFlushMessages", method: .POST) { #expect($0.text == "[]") }
        }
    }

    @Test func nothingIsFlushedBeforeTheStreamHasBeenOpen() async throws {
        let inbox = Inbox(capacity: .mebibytes(1))
        try await inbox.append(.numbered(0))
        var settings = try ClientSettings.forTests()
        settings.openTimeout = .zero
        try await withHTTP(room: FakeRoom(hasBeenOpen: false), inbox: inbox, settings: settings) { client in
            try await client.execute(uri: "/getAndFlushMessages", method: .POST) { response in
                #expect(response.status == .serviceUnavailable)
                #expect(response.text == #"{"sendTime":null,"error":"The stream from the server is not open yet."}"#)
            }
        }
        #expect(inbox.counters.messages == 1)
    }

    @Test func whoeverLeavesWhileWaitingTakesNothingAlong() async throws {
        let inbox = Inbox(capacity: .mebibytes(1))
        let room = FakeRoom(hasBeenOpen: false)
        try await inbox.append(.numbered(0))
        try await withHTTP(room: room, inbox: inbox) { client in
            let connection = try await RawConnection(port: client.port)
            try await connection.send("POST /getAndFlushMessages HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") {
                try await waitUntil { room.streamOpened.waiterCount == 1 }
            }
            try await waitUntil { room.streamOpened.waiterCount == 0 }
            room.streamOpened.open()
            try await client.execute(uri: "/getAndFlushMessages", method: .POST) { #expect($0.text.contains("Ivan")) }
        }
    }

    @Test func messagesOfAnAnswerThatIsCutShortComeBack() async throws {
        let inbox = Inbox(capacity: .mebibytes(64))
        // More than the buffers of a connection take.
        for number in 0..<1000 {
            try await inbox.append(.numbered(number, text: String(repeating: "x", count: 32 * 1024)))
        }
        try await withHTTP(inbox: inbox) { client in
            let connection = try await RawConnection(port: client.port)
            try await connection.send("POST /getAndFlushMessages HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") {
                try await waitUntil { inbox.counters.messages == 0 }
            }
            try await waitUntil { inbox.counters.messages == 1000 }
        }
        #expect(inbox.lease().messages.map(\.sendTime) == (0..<1000).map { Message.numbered($0).sendTime })
    }
}
