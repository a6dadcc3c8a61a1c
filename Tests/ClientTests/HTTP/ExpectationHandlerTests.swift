import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import Client

@Suite struct ExpectationHandlerTests {
    private func answer(to headers: HTTPFields) throws -> HTTPResponsePart? {
        let channel = EmbeddedChannel(handler: ExpectationHandler(greatestBodyBytes: 100))
        let head = HTTPRequest(
            method: .post,
            scheme: "http",
            authority: "a",
            path: "/sendMessage",
            headerFields: headers
        )
        try channel.writeInbound(HTTPRequestPart.head(head))
        #expect(try channel.readInbound(as: HTTPRequestPart.self) == .head(head))
        return try channel.readOutbound(as: HTTPResponsePart.self)
    }

    @Test(arguments: ["100-continue", "100-Continue"])
    func whoeverAsksMayGoAhead(expectation: String) throws {
        #expect(
            try self.answer(to: [.expect: expectation, .contentLength: "100"]) == .head(HTTPResponse(status: .continue))
        )
        #expect(
            try self.answer(to: [.expect: expectation, .transferEncoding: "chunked"])
                == .head(HTTPResponse(status: .continue))
        )
    }

    @Test func whoeverDoesNotAskIsNotTold() throws {
        #expect(try self.answer(to: [.contentLength: "100"]) == nil)
    }

    @Test func aBodyThatIsTooLongIsNotWelcome() throws {
        #expect(try self.answer(to: [.expect: "100-continue", .contentLength: "101"]) == nil)
    }

    /// It would be in the middle of the answer to the request before.
    @Test func nothingIsSaidWhileAnAnswerIsUnderWay() throws {
        let channel = EmbeddedChannel(handler: ExpectationHandler(greatestBodyBytes: 100))
        let first = HTTPRequest(method: .post, scheme: "http", authority: "a", path: "/getAndFlushMessages")
        try channel.writeInbound(HTTPRequestPart.head(first))
        try channel.writeInbound(HTTPRequestPart.end(nil))
        var second = first
        second.headerFields[.expect] = "100-continue"
        try channel.writeInbound(HTTPRequestPart.head(second))
        #expect(try channel.readOutbound(as: HTTPResponsePart.self) == nil)

        // With that answer's end, the next request of all is told again.
        for _ in 0..<2 {
            for part in [HTTPResponsePart.head(HTTPResponse(status: .ok)), .end(nil)] {
                try channel.writeOutbound(part)
                #expect(try channel.readOutbound(as: HTTPResponsePart.self) == part)
            }
        }
        try channel.writeInbound(HTTPRequestPart.head(second))
        #expect(try channel.readOutbound(as: HTTPResponsePart.self) == .head(HTTPResponse(status: .continue)))
    }
}
