import NIOHTTP1
import Testing

@testable import Client

/// What is no HTTP, over a real connection.
@Suite(.timeLimit(.minutes(5))) struct ProtocolErrorTests {
    @Test(arguments: [
        "nonsense\r\n\r\n",
        "POST /sendMessage HTTP/9.9\r\nHost: a\r\n\r\n",
        "POST /sendMessage HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /sendMessage HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /sendMessage HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n",
        "POST /sendMessage HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ])
    func isAnsweredWith400InJSON(request: String) async throws {
        let answer = try await self.answer(to: request)
        #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n" + #"{"sendTime":null,"error":"The request is not valid HTTP."}"#))
        #expect(answer.contains("\r\nContent-Type: application/json\r\n"))
        #expect(answer.contains("\r\nConnection: close\r\n"))
    }

    @Test func tooLongHeaderFieldsAreAnsweredWith431() async throws {
        let field = "X: " + String(repeating: "x", count: 20_000)
        let answer = try await self.answer(to: "POST /sendMessage HTTP/1.1\r\nHost: a\r\n\(field)\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 431 "))
        #expect(answer.hasSuffix(#"{"sendTime":null,"error":"The header fields are too long."}"#))
    }

    @Test func aRequestIsAnsweredOnce() async throws {
        // The first answer comes without a look at the body, in which the second mistake is.
        let request = "POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
        let answer = try await withHTTP { client in
            try await RawConnection(port: client.port).exchange(request)
        }
        #expect(answer.split(separator: "HTTP/1.1 ").count == 1)
    }

    @Test func noSoftwareIsNamed() async throws {
        try await withHTTP { client in
            try await client.execute(uri: "/healthz", method: .GET) { #expect($0.header("Server") == nil) }
        }
    }

    private func answer(to request: String) async throws -> String {
        try await withHTTP { client in
            let connection = try await RawConnection(port: client.port)
            return try await connection.exchange(request) { $0.hasSuffix("}") }
        }
    }
}
