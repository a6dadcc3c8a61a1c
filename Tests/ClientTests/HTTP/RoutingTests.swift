import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Messenger
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct RoutingTests {
    @Test(arguments: [
        "/", "/sendMessage/", "/sendmessage", "/getAndFlushMessages/x", "/sendMessage%00", "//sendMessage", "*",
    ])
    func otherPathsAreNotFound(path: String) async throws {
        try await withHTTP { client in
            try await client.execute(uri: path, method: .post) { response in
                #expect(response.status == .notFound)
                #expect(response.text == #"{"sendTime":null,"error":"There is nothing here."}"#)
            }
        }
    }

    @Test(
        arguments: ["/sendMessage", "/getAndFlushMessages"],
        [HTTPRequest.Method.get, .put, .delete, .options, .patch]
    )
    func postPathsTakeNothingButPost(path: String, method: HTTPRequest.Method) async throws {
        let inbox = Inbox(capacity: .mebibytes(1))
        try await inbox.append(.numbered(0))
        try await withHTTP(inbox: inbox) { client in
            try await client.execute(uri: path, method: method) { response in
                #expect(response.status == .methodNotAllowed)
                #expect(response.headers[.allow] == "POST")
                #expect(response.text == #"{"sendTime":null,"error":"The method must be POST."}"#)
            }
        }
        #expect(inbox.counters.messages == 1)
    }

    @Test(arguments: ["/sendMessage", "/getAndFlushMessages"])
    func anAnswerToHeadHasTheLengthOfTheBodyButNoBody(path: String) async throws {
        try await withHTTP { client in
            try await client.execute(uri: path, method: .head) { response in
                #expect(response.status == .methodNotAllowed)
                #expect(response.headers[.allow] == "POST")
                #expect(response.headers[.contentLength] == "52")
                #expect(response.body.readableBytes == 0)
            }
        }
    }

    @Test(arguments: ["/healthz", "/readyz"])
    func healthPathsTakeGetAndHead(path: String) async throws {
        try await withHTTP { client in
            try await client.execute(uri: path, method: .post) { response in
                #expect(response.status == .methodNotAllowed)
                #expect(response.headers[.allow] == "GET, HEAD")
            }
            try await client.execute(uri: path, method: .head) { response in
                #expect(response.status == .ok)
                #expect(response.body.readableBytes == 0)
            }
        }
    }
}
