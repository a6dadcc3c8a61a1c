import NIOCore
import NIOHTTP1
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct PageRoutesTests {
    @Test func thePageMayDoNothingButUseItsOwnServer() async throws {
        try await withHTTP { client in
            for path in try await files(of: client) {
                try await client.execute(uri: path, method: .GET) { response in
                    #expect(response.status == .ok, "\(path)")
                    let policy = try #require(response.header("Content-Security-Policy"))
                    #expect(policy.hasPrefix("default-src 'none'; script-src 'self'; "))
                    #expect(!policy.contains("unsafe"))
                    #expect(response.header("X-Content-Type-Options") == "nosniff")
                    #expect(response.header("Referrer-Policy") == "no-referrer")
                    #expect(response.header("Cache-Control") == "no-cache")
                }
            }
        }
    }

    @Test func everythingIsThereThatThePageLoads() async throws {
        try await withHTTP { client in
            let files = try await files(of: client)
            #expect(files.contains("/page/page.js") && files.contains("/page/page.css"))
            for path in files where path.hasSuffix(".js") {
                let script = try await client.execute(uri: path, method: .GET) { $0.text }
                for name in script.matches(of: /from "\.\/([a-z]+)\.js"/).map(\.output.1) {
                    #expect(files.contains("/page/\(name).js"), "\(path) imports it")
                }
            }
        }
    }

    @Test func aCopyIsUsedAgainUntilTheFileChanges() async throws {
        try await withHTTP { client in
            let tag = try await client.execute(uri: "/", method: .GET) { try #require($0.header("ETag")) }
            for field in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
                try await client.execute(uri: "/", method: .GET, headers: ["If-None-Match": field]) { response in
                    #expect(response.status == .notModified, "\(field)")
                    #expect(response.header("ETag") == tag)
                    #expect(response.header("Content-Length") == nil)
                    #expect(response.body.readableBytes == 0)
                }
            }
            try await client.execute(uri: "/", method: .GET, headers: ["If-None-Match": "\"other\""]) { response in
                #expect(response.status == .ok)
            }
            let other = try await client.execute(uri: "/page/page.css", method: .GET) { $0.header("ETag") }
            #expect(other != tag)
        }
    }

    @Test func anAnswerToHeadHasNoBody() async throws {
        try await withHTTP { client in
            let length = try await client.execute(uri: "/", method: .GET) { $0.body.readableBytes }
            try await client.execute(uri: "/", method: .HEAD) { response in
                #expect(response.status == .ok)
                #expect(response.header("Content-Length") == String(length))
                #expect(response.body.readableBytes == 0)
            }
        }
    }

    /// A link on another site opens the page. Nothing else of it is there for other sites, nor is the room.
    @Test(arguments: [
        ("/", "navigate", "document", HTTPResponseStatus.ok),
        ("/?from=there", "navigate", "document", .ok),
        ("/", "navigate", "iframe", .forbidden),
        ("/", "no-cors", "script", .forbidden),
        ("/", "cors", "empty", .forbidden),
        ("/page/page.js", "no-cors", "script", .forbidden),
        ("/page/page.js", "navigate", "document", .forbidden),
        ("/messages", "navigate", "document", .forbidden),
        ("/nothing", "navigate", "document", .forbidden),
    ])
    func otherSites(path: String, mode: String, destination: String, status: HTTPResponseStatus) async throws {
        let headers: HTTPHeaders = [
            "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination,
        ]
        try await withHTTP { client in
            try await client.execute(uri: path, method: .GET, headers: headers) { #expect($0.status == status) }
        }
    }

    @Test func aFormOfAnotherSiteDoesNotOpenThePage() async throws {
        let headers: HTTPHeaders = [
            "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
        ]
        try await withHTTP { client in
            try await client.execute(uri: "/", method: .POST, headers: headers) { #expect($0.status == .forbidden) }
        }
    }
}

/// The page and what it names.
private func files(of client: HTTPTestClient) async throws -> [String] {
    let page = try await client.execute(uri: "/", method: .GET) { $0.text }
    return ["/"] + page.matches(of: /"(\/page\/[a-z]+\.[a-z]+)"/).map { String($0.output.1) }
}
