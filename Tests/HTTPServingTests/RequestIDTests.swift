import NIOHTTP1
import Testing

@testable import HTTPServing

struct RequestIDTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let parent = "00-\(trace)-b7ad6b7169203331-01"

    @Test func aRequestBringsItsID() {
        #expect(RequestID.of(["X-Request-Id": "order-7/a.b_c+d=:"]) == "order-7/a.b_c+d=:")
        #expect(RequestID.of(["traceparent": Self.parent]) == Self.trace)
        #expect(RequestID.of(["traceparent": Self.parent, "X-Request-Id": "7"]) == Self.trace)
        // A later version may have more parts.
        #expect(RequestID.of(["traceparent": "01-\(Self.trace)-b7ad6b7169203331-01-more"]) == Self.trace)
    }

    @Test(arguments: [
        "", "a b", "a\"b", "a\u{7F}", "é", "a=\\", String(repeating: "x", count: 129),
    ])
    func anInvalidIDIsReplaced(_ id: String) {
        let made = RequestID.of(["X-Request-Id": id])
        #expect(made.utf8.count == 16 && made != id)
    }

    @Test(arguments: [
        "", "00", "00-0-0-0", "ff-\(trace)-b7ad6b7169203331-01", "00-\(trace.uppercased())-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-\(trace)-0000000000000000-01",
        "00-\(trace)-b7ad",
    ])
    func anInvalidTraceIsIgnored(_ parent: String) {
        #expect(RequestID.of(["traceparent": parent, "X-Request-Id": "7"]) == "7")
    }

    @Test func severalIDsAreNone() {
        #expect(RequestID.of(HTTPHeaders([("X-Request-Id", "a"), ("X-Request-Id", "b")])).utf8.count == 16)
    }

    @Test func newIDsDiffer() {
        #expect(RequestID.of([:]) != RequestID.of([:]))
        #expect(RequestID.isValid(RequestID.of([:]).utf8))
    }
}
