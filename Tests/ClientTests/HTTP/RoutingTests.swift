import NIOCore
import Messenger
import NIOHTTP1
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct RoutingTests {
    @Test(arguments: [
        "/page", "/page/", "/sendMessage/", "/sendmessage", "/getAndFlushMessages/x", "/sendMessage%00",
        "//sendMessage",
        "*",
    ])
    func otherPathsAreNotFound(path: String) async throws {
        try await withHTTP { client in
            try await client.execute(uri: path, method: .POST) { response in
                #expect(response.status == .notFound)
                #expect(response.text == #"{"sendTime":null,"error":"There is nothing here."}"#)
            }
        }
    }

    @Test(
        arguments: ["/sendMessage", "/getAndFlushMessages"],
        [HTTPMethod.GET, .PUT, .DELETE, .OPTIONS, .PATCH]
    )
    func postPathsTakeNothingButPost(path: String, method: HTTPMethod) async throws {
        let inbox = Inbox(capacity: .mebibytes(1))
        try await inbox.append(.numbered(0))
        try await withHTTP(inbox: inbox) { client in
            try await client.execute(uri: path, method: method) { response in
                #expect(response.status == .methodNotAllowed)
                #expect(response.header("Allow") == "POST")
                #expect(response.text == #"{"sendTime":null,"error":"The method must be POST."}"#)
            }
        }
        #expect(inbox.counters.messages == 1)
    }

    @Test(arguments: ["/sendMessage", "/getAndFlushMessages"])
    func anAnswerToHeadHasTheLengthOfTheBodyButNoBody(path: String) async throws {
        try await withHTTP { client in
            try await client.execute(uri: path, method: .HEAD) { response in
                #expect(response.status == .methodNotAllowed)
                #expect(response.header("Allow") == "POST")
                #expect(response.header("Content-Length") == "52")
                #expect(response.body.readableBytes == 0)
            }
        }
    }

    @Test(arguments: ["/healthz", "/readyz"])
    func healthPathsTakeGetAndHead(path: String) async throws {
        try await withHTTP { client in
            try await client.execute(uri: path, method: .POST) { response in
                #expect(response.status == .methodNotAllowed)
                #expect(response.header("Allow") == "GET, HEAD")
            }
            try await client.execute(uri: path, method: .HEAD) { response in
                #expect(response.status == .ok)
                #expect(response.body.readableBytes == 0)
            }
        }
    }
}
