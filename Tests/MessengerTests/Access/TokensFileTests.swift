import Testing

@testable import Messenger

struct TokensFileTests {
    /// The digest of `secret`, as `printf secret | sha256sum` prints it.
    private static let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    private static let other = String(repeating: "0", count: 64)

    private func entries(_ text: String) throws -> [TokensFile.Entry] {
        try TokensFile(parsing: Array(text.utf8)).entries
    }

    @Test func aLineHasANameADigestRightsAndARate() throws {
        let entry = try #require(try entries("ann \(Self.digest) read,send 10/s\n").first)
        #expect(entry.name == "ann")
        #expect(entry.digest == TokenDigest(of: Array("secret".utf8)[...]))
        #expect(entry.rights == [.read, .send])
        #expect(entry.rate?.perSecond == 10)
    }

    @Test func commentsBlankLinesTabsAndLineEndsOfWindowsAreFine() throws {
        let text = "# all\r\n\r\n  \tann\t\(Self.digest.uppercased())  read # Ann's\r\nbob \(Self.other) send"
        let entries = try entries(text)
        #expect(entries.map(\.name) == ["ann", "bob"])
        #expect(entries.map(\.rights) == [.read, .send])
        #expect(entries.allSatisfy { $0.rate == nil })
        #expect(entries[0].digest == TokenDigest(hex: Self.digest.utf8))
    }

    @Test func aFileWithoutTokensIsOne() throws {
        #expect(try entries("").isEmpty)
        #expect(try entries("# nobody\n").isEmpty)
    }

    @Test func aNameMayHaveSeveralTokens() throws {
        #expect(try entries("ann \(Self.digest) read\nann \(Self.other) read").count == 2)
    }

    @Test(arguments: [
        ("ann", "line 1: expected NAME"),
        ("# x\nann \(digest)", "line 2: expected NAME"),
        ("ann \(digest) read 1/s now", "line 1: expected NAME"),
        ("ann/x \(digest) read", "line 1: the name"),
        ("\(String(repeating: "n", count: 65)) \(digest) read", "line 1: the name"),
        ("ann \(digest.dropLast()) read", "64 hexadecimal digits"),
        ("ann \(digest.dropLast())g read", "64 hexadecimal digits"),
        ("ann \(digest) write", "the rights must be"),
        ("ann \(digest) send,read", "the rights must be"),
        ("ann \(digest) send 0/s", "the rate must be"),
        ("ann \(digest) send 10", "the rate must be"),
        ("ann \(digest) send 1000001/s", "the rate must be"),
        ("ann \(digest) send -1/s", "the rate must be"),
        ("ann \(digest) read\nbob \(digest.uppercased()) send", "line 2: the token of line 1"),
    ])
    func aBadLineIsNamed(_ text: String, _ reason: String) {
        let error = #expect(throws: InvalidSetting.self) { try entries(text) }
        #expect(error?.description.contains(reason) == true)
    }

    @Test func anErrorQuotesNothing() {
        let error = #expect(throws: InvalidSetting.self) { try entries("ann s3cret read") }
        #expect(error?.description.contains("s3cret") == false)
    }

    @Test func thereIsALimitOfTokens() throws {
        let line = { (number: Int) in
            let digits = String(number, radix: 16)
            return "a \(String(repeating: "0", count: 64 - digits.count))\(digits) read\n"
        }
        let most = (0..<TokensFile.maxEntries).map(line).joined()
        #expect(try entries(most).count == TokensFile.maxEntries)
        #expect(throws: InvalidSetting.self) { try entries(most + line(TokensFile.maxEntries)) }
    }
}

struct AccessTokenTests {
    @Test func randomTokensAreDifferentAndValid() {
        let tokens = (0..<100).map { _ in AccessToken.random() }
        #expect(Set(tokens).count == 100)
        // 128 bits need 22 of these characters.
        #expect(tokens.allSatisfy { AccessToken.isValid($0.utf8) && $0.utf8.count >= 22 })
    }

    @Test(arguments: [
        ("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER  abc", "abc"), ("Bearer ", nil), ("Bearer", nil),
        ("Basic abc", nil), ("", nil), ("abc", nil), ("Bearer\tabc", nil),
    ])
    func theTokenFollowsItsScheme(_ field: String, _ token: String?) {
        #expect(AccessToken.bearer(in: Array(field.utf8)).map { String(decoding: $0, as: UTF8.self) } == token)
    }

    @Test func aTextThatIsTooLongIsNotHashed() {
        #expect(TokenDigest(of: [UInt8](repeating: 65, count: AccessToken.maxLength)[...]) != nil)
        #expect(TokenDigest(of: [UInt8](repeating: 65, count: AccessToken.maxLength + 1)[...]) == nil)
    }

    /// Equality looks at every byte: at each position, a difference counts.
    @Test func digestsDifferAtEachPosition() throws {
        let zeros = try #require(TokenDigest(hex: String(repeating: "0", count: 64).utf8))
        #expect(zeros == TokenDigest(hex: String(repeating: "0", count: 64).utf8))
        for position in 0..<64 {
            var digits = Array(repeating: UInt8(ascii: "0"), count: 64)
            digits[position] = UInt8(ascii: "1")
            #expect(try #require(TokenDigest(hex: digits)) != zeros)
        }
    }
}
