import HTTPServing
import Messenger
import NIOCore
import NIOHTTP1
import Testing

@testable import Client

/// `GET /events` over real connections.
@Suite(.timeLimit(.minutes(5))) struct EventsTests {
    private static let request = "GET /events HTTP/1.1\r\nHost: a\r\n\r\n"

    private func text(_ number: Int) -> String { String(buffer: Event(.numbered(number)).bytes) }

    @Test func whatComesFromNowOn() async throws {
        let room = StreamingRoom()
        room.post(1...3)
        try await withHTTP(room: room) { client in
            let connection = try await RawConnection(port: client.port)
            let answer = try await connection.exchange(Self.request) { answer in
                if answer.contains("id: ") { room.postOnce(4...5) }
                return answer.contains(self.text(5))
            }
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("retry: 1000\n\n"))
            #expect(answer.contains("id: \(Message.numbered(3).sendTime)\n\n"))
            #expect(answer.contains(self.text(4)))
            #expect(!answer.contains(self.text(3)))
        }
    }

    @Test func theAnswerEndsAtTheLimit() async throws {
        let room = StreamingRoom()
        room.post(1...600)
        try await withHTTP(room: room) { client in
            let headers: HTTPHeaders = ["Last-Event-ID": "\(Message.numbered(2).sendTime)"]
            try await client.execute(uri: "/events?limit=500&last=7", method: .GET, headers: headers) { response in
                #expect(response.header("Content-Type") == "text/event-stream")
                #expect(response.header("Cache-Control") == "no-store")
                #expect(response.header("X-Accel-Buffering") == "no")
                #expect(response.text == "retry: 1000\n\n" + (3...502).map(self.text).joined())
            }
        }
    }

    @Test func aCommentAgainAndAgain() async throws {
        try await withHTTP(room: StreamingRoom(), eventPingInterval: .milliseconds(5)) { client in
            let connection = try await RawConnection(port: client.port)
            let answer = try await connection.exchange(Self.request) { $0.components(": ping\n\n") >= 3 }
            #expect(answer.contains(": ping\n\n"))
        }
    }

    @Test func theAnswerGoesOnWhenTheServerIsBack() async throws {
        let room = StreamingRoom(isAway: true)
        try await withHTTP(room: room) { client in
            let connection = try await RawConnection(port: client.port)
            let answer = try await connection.exchange(Self.request) { answer in
                if answer.contains("retry:") { room.comeBack() }
                if answer.contains("id: ") { room.postOnce(1...1) }
                if answer.contains(self.text(1)), room.lastNumber == 1 {
                    room.leave()
                    room.post(2...2)
                    room.comeBack()
                }
                return answer.contains(self.text(2))
            }
            #expect(answer.components(self.text(1)) == 1)
        }
    }

    @Test func oneStreamForAllReadersAsLongAsThereAreAny() async throws {
        let room = StreamingRoom()
        var settings = try ClientSettings.forTests()
        settings.httpStreams = 2
        try await withHTTP(room: room, settings: settings) { client in
            let first = try await RawConnection(port: client.port)
            try await first.send(Self.request, readingBeginning: true) {
                let second = try await RawConnection(port: client.port)
                try await second.send(Self.request, readingBeginning: true) {
                    try await client.execute(uri: "/events", method: .GET) { response in
                        #expect(response.status == .serviceUnavailable)
                        #expect(response.header("Retry-After") == "1")
                    }
                }
            }
            #expect(room.follows == 1)
            // Both have left: the next one is admitted, once the client knows.
            while try await client.execute(uri: "/events", method: .HEAD, check: { $0.status }) != .ok {
                try Task.checkCancellation()
            }
        }
    }

    @Test func aStopEndsTheAnswer() async throws {
        try await withHTTP(room: StreamingRoom()) { client in
            let connection = try await RawConnection(port: client.port)
            let answer = try await connection.exchange(Self.request) { answer in
                if answer.contains("retry:") { Task { await client.shutDown() } }
                return false
            }
            #expect(answer.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test(arguments: [
        "?after=", "?after=2021", "?last=0", "?last=10001", "?limit=0", "?last=1&after=2021-09-12T10:25:22Z",
    ])
    func aBadQueryIsRefused(query: String) async throws {
        try await withHTTP(room: StreamingRoom()) { client in
            try await client.execute(uri: "/events\(query)", method: .GET) { #expect($0.status == .badRequest) }
        }
    }
}

extension StreamingRoom {
    /// Posts messages unless it has them.
    fileprivate func postOnce(_ numbers: ClosedRange<Int>) {
        if numbers.lowerBound > lastNumber { post(numbers) }
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(_ part: String) -> Int {
        split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}
