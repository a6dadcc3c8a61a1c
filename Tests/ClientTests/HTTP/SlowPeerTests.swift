import Messenger
import Testing

@testable import Client

/// Peers that keep a connection busy, over real connections.
@Suite(.timeLimit(.minutes(5))) struct SlowPeerTests {
    @Test func aRequestThatTakesTooLongToArriveIsAnsweredWith408() async throws {
        var settings = try ClientSettings.forTests()
        settings.httpRequestTimeout = .milliseconds(10)
        try await withHTTP(settings: settings) { client in
            let connection = try await RawConnection(port: client.port)
            let answer = try await connection.exchange(
                "POST /sendMessage HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
            ) {
                $0.hasSuffix("}")
            }
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
            #expect(answer.hasSuffix(#"{"sendTime":null,"error":"The request took too long to arrive."}"#))
        }
    }

    @Test func aHeadThatNeverEndsClosesTheConnection() async throws {
        var settings = try ClientSettings.forTests()
        settings.httpIdleTimeout = .milliseconds(10)
        try await withHTTP(settings: settings) { client in
            let connection = try await RawConnection(port: client.port)
            // The end may come as a reset; that it comes is the point.
            let answer = try? await connection.exchange("POST /sendMessage HTTP/1.1\r\nHost: a\r\n")
            #expect(answer ?? "" == "")
        }
    }

    @Test func messagesForAPeerThatDoesNotTakeThemComeBack() async throws {
        let inbox = Inbox(capacity: .mebibytes(64))
        for number in 0..<1000 {
            try await inbox.append(.numbered(number, text: String(repeating: "x", count: 32 * 1024)))
        }
        var settings = try ClientSettings.forTests()
        settings.httpRequestTimeout = .milliseconds(10)
        try await withHTTP(inbox: inbox, settings: settings) { client in
            let connection = try await RawConnection(port: client.port)
            let request = "POST /getAndFlushMessages HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            try await connection.send(request, readingBeginning: true) {
                // The connection is open still: it is the server that gives up.
                try await waitUntil { inbox.counters.messages == 1000 }
            }
        }
    }
}
