import Messenger
import NIOCore
import NIOHTTP1
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct SendMessageTests {
    private static let body = ByteBuffer(string: #"{"author": "Ivan", "text": "hey"}"#)

    @Test(arguments: [
        nil, "application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-16", "nonsense",
    ])
    func answersAsTheAssignmentShowsWhateverTheContentType(contentType: String?) async throws {
        let room = FakeRoom()
        try await withHTTP(room: room) { client in
            let headers = HTTPHeaders(contentType.map { [("Content-Type", $0)] } ?? [])
            try await client.execute(uri: "/sendMessage", method: .POST, headers: headers, body: Self.body) {
                response in
                #expect(response.status == .ok)
                #expect(response.header("Content-Type") == "application/json")
                #expect(response.text == #"{"sendTime":"2021-09-12T10:25:22.454093428Z","error":null}"#)
            }
        }
        #expect(room.texts == ["Ivan: hey"])
    }

    @Test func carriesEveryCharacter() async throws {
        let room = FakeRoom()
        try await withHTTP(room: room) { client in
            let body = ByteBuffer(string: #"{"author":"a\u0000b","text":"\ud83d\ude00\n"}"#)
            try await client.execute(uri: "/sendMessage?x=1", method: .POST, body: body) { #expect($0.status == .ok) }
        }
        #expect(room.texts == ["a\u{0}b: 😀\n"])
    }

    /// Each message needs a key, because it may have to be sent again.
    @Test func aMessageWithoutAKeyGetsANewOne() async throws {
        let room = FakeRoom()
        try await withHTTP(room: room) { client in
            for _ in 0..<2 {
                try await client.execute(uri: "/sendMessage", method: .POST, body: Self.body) { _ in }
            }
        }
        let keys = room.sent.map(\.key)
        #expect(keys.count == 2 && keys[0] != keys[1])
    }

    @Test func theUsersKeyIsPassedOn() async throws {
        let room = FakeRoom()
        try await withHTTP(room: room) { client in
            let headers = HTTPHeaders([("idempotency-key", "\"a b\"")])
            try await client.execute(uri: "/sendMessage", method: .POST, headers: headers, body: Self.body) { _ in }
        }
        #expect(room.sent.map(\.key.text) == ["\"a b\""])
    }

    @Test(arguments: [[""], [String(repeating: "k", count: 65)], ["ключ"], ["a", "a"]])
    func anInvalidKeyIsAnsweredWith400AndNotSent(values: [String]) async throws {
        let room = FakeRoom()
        try await withHTTP(room: room) { client in
            let headers = HTTPHeaders(values.map { ("Idempotency-Key", $0) })
            try await client.execute(uri: "/sendMessage", method: .POST, headers: headers, body: Self.body) {
                response in
                #expect(response.status == .badRequest)
                #expect(response.text.contains("Idempotency-Key"))
            }
        }
        #expect(room.sent.isEmpty)
    }

    @Test(arguments: [
        "", "{", #"{"author":"Ivan"}"#, #"{"author":"Ivan","text":7}"#, #"{"author":"\udc00","text":""}"#,
    ])
    func aBadBodyIsAnsweredWith400AndNotSent(body: String) async throws {
        let room = FakeRoom()
        try await withHTTP(room: room) { client in
            try await client.execute(uri: "/sendMessage", method: .POST, body: ByteBuffer(string: body)) { response in
                #expect(response.status == .badRequest)
                #expect(response.text.hasPrefix(#"{"sendTime":null,"error":"#))
                #expect(response.header("Content-Type") == "application/json")
            }
        }
        #expect(room.sent.isEmpty)
    }

    @Test(
        arguments: [
            (4, 6, HTTPResponseStatus.ok, nil), (5, 6, .payloadTooLarge, "The author is longer than 4 bytes."),
            (4, 7, .payloadTooLarge, "The text is longer than 6 bytes."),
        ] as [(Int, Int, HTTPResponseStatus, String?)]
    )
    func limitsAreCountedInBytesOfTheStrings(
        author: Int,
        text: Int,
        status: HTTPResponseStatus,
        error: String?
    ) async throws {
        var settings = try ClientSettings.forTests()
        settings.shared.maxAuthorBytes = 4
        settings.shared.maxTextBytes = 6
        let strings = [author, text].map { String(repeating: "\\u0000", count: $0) }
        let body = ByteBuffer(string: #"{"author":"\#(strings[0])","text":"\#(strings[1])"}"#)
        try await withHTTP(settings: settings) { client in
            try await client.execute(uri: "/sendMessage", method: .POST, body: body) { response in
                #expect(response.status == status)
                if let error { #expect(response.text == #"{"sendTime":null,"error":"\#(error)"}"#) }
            }
        }
    }

    @Test func theLongestMessageFitsHoweverItIsEscaped() async throws {
        let room = FakeRoom()
        let author = String(repeating: "\\u0000", count: 256)
        let text = String(repeating: "\\u0000", count: 65536)
        try await withHTTP(room: room) { client in
            let body = ByteBuffer(string: #"{"author":"\#(author)","text":"\#(text)"}"#)
            try await client.execute(uri: "/sendMessage", method: .POST, body: body) { #expect($0.status == .ok) }
        }
        #expect(room.sent.first?.text.utf8.count == 65536)
    }

    @Test func aBodyOverItsLimitIsAnsweredWith413() async throws {
        let room = FakeRoom()
        var settings = try ClientSettings.forTests()
        settings.shared.maxAuthorBytes = 1
        settings.shared.maxTextBytes = 1
        let limit = settings.shared.messageLimits.maxBodyBytes
        try await withHTTP(room: room, settings: settings) { client in
            let padded = { (size: Int) in
                let json = #"{"author":"a","text":"b"}"#
                return ByteBuffer(string: json + String(repeating: " ", count: size - json.utf8.count))
            }
            try await client.execute(uri: "/sendMessage", method: .POST, body: padded(limit)) {
                #expect($0.status == .ok)
            }
            try await client.execute(uri: "/sendMessage", method: .POST, body: padded(limit + 1)) { response in
                #expect(response.status == .payloadTooLarge)
                #expect(response.text == #"{"sendTime":null,"error":"The body is longer than \#(limit) bytes."}"#)
            }
        }
        #expect(room.sent.count == 1)
    }

    @Test(arguments: [
        (SendError.Code.unavailable, HTTPResponseStatus.serviceUnavailable), (.deadlineExceeded, .gatewayTimeout),
        (.invalidArgument, .badRequest), (.resourceExhausted, .tooManyRequests), (.failed, .badGateway),
        (.storageFull, .insufficientStorage),
    ])
    func aFailedSendHasTheStatusOfItsCode(code: SendError.Code, status: HTTPResponseStatus) async throws {
        let room = FakeRoom(answer: .failure(SendError(code: code, message: "The server said \"no\".")))
        try await withHTTP(room: room) { client in
            try await client.execute(uri: "/sendMessage", method: .POST, body: Self.body) { response in
                #expect(response.status == status)
                #expect(response.text == #"{"sendTime":null,"error":"The server said \"no\"."}"#)
            }
        }
    }

    @Test func nothingIsSentBeforeTheStreamHasBeenOpen() async throws {
        let room = FakeRoom(hasBeenOpen: false)
        var settings = try ClientSettings.forTests()
        settings.openTimeout = .zero
        try await withHTTP(room: room, settings: settings) { client in
            try await client.execute(uri: "/sendMessage", method: .POST, body: Self.body) { response in
                #expect(response.status == .serviceUnavailable)
                #expect(response.text == #"{"sendTime":null,"error":"The stream from the server is not open yet."}"#)
            }
        }
        #expect(room.sent.isEmpty)
    }

    @Test func theFirstOpeningLetsWaitingMessagesPass() async throws {
        let room = FakeRoom(hasBeenOpen: false)
        try await withHTTP(room: room) { client in
            async let status = client.execute(uri: "/sendMessage", method: .POST, body: Self.body) { $0.status }
            try await waitUntil { room.streamOpened.waiterCount == 1 }
            #expect(room.sent.isEmpty)
            room.streamOpened.open()
            #expect(try await status == .ok)
        }
        #expect(room.sent.count == 1)
    }

    @Test func aBadBodyIsAnsweredWithoutWaiting() async throws {
        try await withHTTP(room: FakeRoom(hasBeenOpen: false)) { client in
            try await client.execute(uri: "/sendMessage", method: .POST, body: ByteBuffer(string: "{}")) { response in
                #expect(response.status == .badRequest)
            }
        }
    }
}
