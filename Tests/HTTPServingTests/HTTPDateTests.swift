import Testing

@testable import HTTPServing

@Suite struct HTTPDateTests {
    @Test func isAsHTTPHasIt() {
        #expect(HTTPDate.text(of: 0) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(HTTPDate.text(of: 1_631_442_322) == "Sun, 12 Sep 2021 10:25:22 GMT")
        #expect(HTTPDate.text(of: 253_402_300_799) == "Fri, 31 Dec 9999 23:59:59 GMT")
    }
}
