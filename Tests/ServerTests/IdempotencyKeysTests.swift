import Messenger
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct IdempotencyKeysTests {
    private let start = MonotonicClock.now

    private func room(keys: IdempotencyKeys.Limits = .init()) -> Room<Message> {
        Room(limits: .init(messages: 1, bytes: .max), keys: keys) { ($0, $0.text.utf8.count) }
    }

    private func message(_ text: String, key: String) -> NewMessage {
        NewMessage(author: "Ivan", text: text, key: IdempotencyKey(key))
    }

    @Test(arguments: ["a", " ~", String(repeating: "k", count: 64)])
    func printableASCIIIsAKey(_ text: String) throws {
        #expect(try #require(IdempotencyKey(text)).text == text)
    }

    @Test(arguments: ["", String(repeating: "k", count: 65), "a\u{7F}", "a\n", "a\0", "ключ", "e\u{301}"])
    func anythingElseIsNoKey(_ text: String) {
        #expect(IdempotencyKey(text) == nil)
    }

    @Test func randomKeysAre32HexadecimalDigits() {
        let keys = (0..<100).map { _ in IdempotencyKey.random().text }
        #expect(keys.allSatisfy { $0.utf8.count == 32 && $0.utf8.allSatisfy("0123456789abcdef".utf8.contains) })
        // Each of the 32 places varies.
        #expect((0..<32).allSatisfy { place in Set(keys.map { Array($0.utf8)[place] }).count > 1 })
        #expect(Set(keys).count == keys.count)
    }

    /// Also when the first one is no longer in the history.
    @Test func aMessageThatIsSentAgainHasTheTimeOfTheFirst() throws {
        let room = room()
        let cursor = try room.cursor()
        let time = try room.append(message("hey", key: "1"))
        #expect(try room.append(message("hey", key: "1")) == time)
        #expect(try room.next(cursor)?.sendTime == time)
        #expect(try room.next(cursor) == nil)
        let other = try room.append(message("hey", key: "2"))
        #expect(other > time)
        #expect(try room.append(message("hey", key: "1")) == time)
    }

    @Test func anotherMessageUnderTheSameKeyIsRefused() throws {
        let room = room()
        let time = try room.append(message("hey", key: "1"))
        #expect(throws: RoomError.keyIsTaken) { try room.append(message("hey!", key: "1")) }
        // The same characters, shared out differently.
        let shifted = NewMessage(author: "Ivanh", text: "ey", key: IdempotencyKey("1"))
        #expect(throws: RoomError.keyIsTaken) { try room.append(shifted) }
        #expect(try room.append(message("hey", key: "1")) == time)
    }

    @Test func aKeyIsForgottenAtItsAge() throws {
        var keys = IdempotencyKeys(limits: .init(age: .seconds(10), count: 100))
        let key = try #require(IdempotencyKey("1"))
        let time = SendTime(nanosecondsSinceEpoch: 1)
        func hashes(_ text: String) -> IdempotencyKeys.Hashes { .init(message(text, key: "1"), under: key) }
        let later = SendTime(nanosecondsSinceEpoch: 2)
        #expect(try keys.insert(hashes("hey"), time, at: start) == nil)
        #expect(try keys.insert(hashes("hey"), later, at: start + .seconds(9)) == time)
        #expect(try keys.insert(hashes("other"), later, at: start + .seconds(10)) == nil)
        #expect(try keys.insert(hashes("other"), time, at: start + .seconds(11)) == later)
        #expect(keys.count == 1)
    }

    @Test func theOldestKeysAreForgottenFirst() throws {
        let room = room(keys: .init(age: .seconds(600), count: 3))
        let times = try (1...4).map { try room.append(message("hey", key: "\($0)")) }
        for number in 2...4 {
            #expect(try room.append(message("hey", key: "\(number)")) == times[number - 1])
        }
        #expect(try room.append(message("hey", key: "1")) > times[3])
    }
}
