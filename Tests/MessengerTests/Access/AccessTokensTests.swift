import Foundation
import Logging
import Synchronization
import Testing

@testable import Messenger

struct TokenBucketTests {
    private let start = ContinuousClock.now

    @Test func aSecondsMessagesPassAtOnceAndThenOneAfterTheOther() throws {
        var bucket = TokenBucket(try #require(MessageRate(perSecond: 4)))
        for _ in 0..<4 { #expect(bucket.take(now: start) == nil) }
        #expect(bucket.take(now: start) == .milliseconds(250))
        #expect(bucket.take(now: start + .milliseconds(100)) == .milliseconds(150))
        #expect(bucket.take(now: start + .milliseconds(250)) == nil)
        #expect(bucket.take(now: start + .milliseconds(250)) == .milliseconds(250))
    }

    @Test func aRefusedMessageCostsNothing() throws {
        var bucket = TokenBucket(try #require(MessageRate(perSecond: 1)))
        #expect(bucket.take(now: start) == nil)
        for _ in 0..<100 { #expect(bucket.take(now: start) == .seconds(1)) }
        #expect(bucket.take(now: start + .seconds(1)) == nil)
    }

    @Test func aPauseFillsTheBucketOnlyOnce() throws {
        var bucket = TokenBucket(try #require(MessageRate(perSecond: 2)))
        let later = start + .seconds(3600)
        #expect(bucket.take(now: start) == nil)
        for _ in 0..<2 { #expect(bucket.take(now: later) == nil) }
        #expect(bucket.take(now: later) != nil)
    }

    @Test func theRateHoldsOverTime() throws {
        var bucket = TokenBucket(try #require(MessageRate(perSecond: 1000)))
        var passed = 0
        for millisecond in 0..<10_000 {
            for _ in 0..<3 where bucket.take(now: start + .milliseconds(millisecond)) == nil { passed += 1 }
        }
        #expect((10_900...11_000).contains(passed))
    }
}

struct AccessTokensTests {
    private let file = FileManager.default.temporaryDirectory.appending(path: "tokens-\(UUID().uuidString)").path
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func write(_ lines: (String, String)...) throws {
        try text(lines).write(toFile: file, atomically: true, encoding: .utf8)
    }

    private func tokens(_ lines: (String, String)...) throws -> AccessTokens {
        try text(lines).write(toFile: file, atomically: true, encoding: .utf8)
        return try AccessTokens(file: file, setting: "SETTING")
    }

    private func text(_ lines: [(String, String)]) -> String {
        lines.map { "\($0) \(SHA256.hexDigest(of: Array($0.utf8)) ?? "") \($1)\n" }.joined()
    }

    private func field(_ token: String) -> [[UInt8]] { [Array("Bearer \(token)".utf8)] }

    @Test func rightsAreChecked() throws {
        let tokens = try tokens(("reader", "read"), ("sender", "send"), ("both", "read,send"))
        defer { try? FileManager.default.removeItem(atPath: file) }
        for (token, right, refusal) in [
            ("reader", AccessRights.read, nil), ("reader", .send, .noRight(.send)), ("reader", [], nil),
            ("sender", .send, nil), ("sender", .read, .noRight(.read)),
            ("both", .read, nil), ("both", .send, nil), ("nobody", [], AccessRefusal.unknownToken),
        ] as [(String, AccessRights, AccessRefusal?)] {
            let result = Result { () throws(AccessRefusal) in try tokens.admit(field(token), to: right).name }
            #expect(result == refusal.map { .failure($0) } ?? .success(token))
        }
    }

    @Test func oneFieldWithATokenIsNeeded() throws {
        let tokens = try tokens(("ann", "read"))
        defer { try? FileManager.default.removeItem(atPath: file) }
        for fields in [[], field("ann") + field("ann"), [Array("ann".utf8)], [Array("Basic ann".utf8)]] {
            #expect(throws: AccessRefusal.noToken) { try tokens.admit(fields, to: .read) }
        }
    }

    @Test func messagesCountAgainstTheRateAndReadsDoNot() throws {
        let tokens = try tokens(("ann", "read,send 2/s"))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let now = ContinuousClock.now
        for _ in 0..<10 { _ = try tokens.admit(field("ann"), to: .read, now: now) }
        for _ in 0..<2 { _ = try tokens.admit(field("ann"), to: .send, now: now) }
        let rate = try #require(MessageRate(perSecond: 2))
        #expect(throws: AccessRefusal.overRate(rate, wait: .milliseconds(500))) {
            try tokens.admit(field("ann"), to: .send, now: now)
        }
        // The same rate goes on as it is.
        tokens.reread(logger)
        #expect(throws: AccessRefusal.self) { try tokens.admit(field("ann"), to: .send, now: now) }
    }

    @Test func aRereadFileAddsAndRemoves() throws {
        let tokens = try tokens(("ann", "read"), ("bob", "read"))
        defer { try? FileManager.default.removeItem(atPath: file) }
        try write(("bob", "read"), ("eve", "read"))
        tokens.reread(logger)
        #expect(throws: AccessRefusal.unknownToken) { try tokens.admit(field("ann"), to: .read) }
        #expect(try tokens.admit(field("bob"), to: .read).name == "bob")
        #expect(try tokens.admit(field("eve"), to: .read).name == "eve")
    }

    @Test func aBadFileChangesNothing() throws {
        let tokens = try tokens(("ann", "read"))
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "ann\n".write(toFile: file, atomically: true, encoding: .utf8)
        tokens.reread(logger)
        #expect(try tokens.admit(field("ann"), to: .read).name == "ann")
        try FileManager.default.removeItem(atPath: file)
        tokens.reread(logger)
        #expect(try tokens.admit(field("ann"), to: .read).name == "ann")
    }

    @Test func whatIsHeldEndsWhenItsTokenLosesTheRight() throws {
        let tokens = try tokens(("ann", "read,send"), ("bob", "read,send"), ("eve", "read"))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let ended = Mutex<[String: AccessRefusal]>([:])
        var grants: [String: AccessGrant] = [:]
        for name in ["ann", "bob", "eve"] {
            let grant = try tokens.admit(field(name), to: .read)
            grants[name] = grant
            _ = try grant.hold(.read) { refusal in ended.withLock { $0[name] = refusal } }
        }
        let released = try #require(grants["ann"]).hold(.read) { _ in Issue.record("it was released") }
        grants["ann"]?.release(released)
        try write(("bob", "send"), ("eve", "read"))
        tokens.reread(logger)
        #expect(ended.withLock(\.self) == ["ann": .unknownToken, "bob": .noRight(.read)])
        // What comes after a check, but before it is held, is not missed.
        #expect(throws: AccessRefusal.unknownToken) { try grants["ann"]?.hold(.read) { _ in } }
    }

    @Test func aMissingFileStopsTheStart() {
        #expect(throws: StartError(.badConfiguration, "SETTING: /nowhere: No such file or directory")) {
            try AccessTokens(file: "/nowhere", setting: "SETTING")
        }
    }
}
