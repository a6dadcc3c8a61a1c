import Messenger
import Testing

@testable import Server

@Suite struct HistoryLocationTests {
    @Test(arguments: ["memory:", "sqlite:history.db", "sqlite:/var/lib/messenger/a:b.db"])
    func isWhatItSays(_ text: String) {
        #expect(HistoryLocation(settingText: text)?.settingText == text)
    }

    @Test(arguments: ["", "memory", "memory:x", "sqlite", "sqlite:", "file:x", "Sqlite:x", "sqlite:a\u{0}b"])
    func isNone(_ text: String) {
        #expect(HistoryLocation(settingText: text) == nil)
    }

    @Test func aBadRedisURLHasItsOwnSentence() {
        #expect(HistoryLocation.objection(to: "redis://host/0") == RedisAddress.Flaw.number.description)
        #expect(HistoryLocation.objection(to: "rediss://host/room") == RedisAddress.Flaw.tls.description)
        #expect(HistoryLocation.objection(to: "file:x") == nil)
    }
}
