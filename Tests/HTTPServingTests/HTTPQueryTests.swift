import NIOHTTP1
import Testing

@testable import HTTPServing

@Suite struct HTTPQueryTests {
    private func query(_ target: String) throws(HTTPFailure) -> HTTPQuery {
        try HTTPQuery(HTTPRequestHead(version: .http1_1, method: .GET, uri: target))
    }

    @Test(
        arguments: [
            ("/x", nil), ("/x?", nil), ("/x?b=1", nil), ("/x?a", ""), ("/x?a=", ""), ("/x?a=1", "1"),
            ("/x?b&a=1&c=2", "1"),
            ("/x?a=%31%3a%2B", "1:+"), ("/x?%61=1", "1"), ("/x?a=+", "+"), ("/x?a==", "="), ("/x?a=1#b", "1"),
            ("/x?a=%D1%8F", "я"), ("/x?a=1?2", "1?2"),
        ] as [(String, String?)]
    )
    func hasTheValueOfAParameter(target: String, value: String?) throws {
        #expect(try query(target).value("a") == value)
    }

    @Test(arguments: ["/x?a=%", "/x?a=%1", "/x?a=%g0", "/x?a=%FF", "/x?%=1"])
    func refusesWhatCannotBeDecoded(target: String) {
        #expect(throws: HTTPFailure.self) { try query(target) }
    }

    @Test func refusesAParameterThatIsThereTwice() throws {
        let query = try query("/x?a=1&b=2&%61=3")
        #expect(throws: HTTPFailure.self) { try query.value("a") }
        #expect(try query.value("b") == "2")
    }

    @Test(arguments: [("1", 1), ("9", 9), ("09", 9)])
    func readsNumbers(text: String, number: Int) throws {
        #expect(try query("/x?a=\(text)").number("a", in: 1...9) == number)
    }

    @Test(arguments: ["", "0", "10", "-1", "%2B1", "1.0", "x", "99999999999999999999"])
    func refusesOtherNumbers(text: String) throws {
        let query = try query("/x?a=\(text)")
        #expect(throws: HTTPFailure.self) { try query.number("a", in: 1...9) }
    }
}
