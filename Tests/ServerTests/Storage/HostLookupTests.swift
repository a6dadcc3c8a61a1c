import Dispatch
import Synchronization
import Testing

@testable import Server

/// A name server that answers when it is told to.
private final class NameServer: Sendable {
    private struct State {
        var questions = 0
        var answers: [Result<[String], LookupError>] = []
    }

    private let state = Mutex(State())
    private let answered = DispatchSemaphore(value: 0)

    var questions: Int { state.withLock { $0.questions } }

    func answer(_ answer: Result<[String], LookupError>) {
        state.withLock { $0.answers.append(answer) }
        answered.signal()
    }

    func resolve(_ name: String) throws(LookupError) -> [String] {
        state.withLock { $0.questions += 1 }
        answered.wait()
        return try state.withLock { $0.answers.removeFirst() }.get()
    }

    func lookup(patience: Duration = .seconds(60), firstPatience: Duration = .seconds(60)) -> HostLookup {
        HostLookup("redis", patience: patience, firstPatience: firstPatience) { name throws(LookupError) in
            try self.resolve(name)
        }
    }
}

struct HostLookupTests {
    private let server = NameServer()
    private static let refusal = LookupError(description: "no such host", isTemporary: false)

    @Test func addressesOfNow() throws {
        let lookup = server.lookup()
        server.answer(.success(["10.0.0.1"]))
        #expect(try lookup.addresses() == ["10.0.0.1"])
        server.answer(.success(["10.0.0.2", "::2"]))
        #expect(try lookup.addresses() == ["10.0.0.2", "::2"])
    }

    @Test func addressesOfLastTimeWhereNobodyAnswers() throws {
        let lookup = server.lookup(patience: .milliseconds(20))
        defer { server.answer(.success([])) }
        server.answer(.success(["10.0.0.1"]))
        #expect(try lookup.addresses() == ["10.0.0.1"])
        for _ in 0..<3 { #expect(try lookup.addresses() == ["10.0.0.1"]) }
        #expect(server.questions == 2, "the same question twice at a time")
    }

    @Test func nobodyAnswersAndNothingIsKnown() {
        let lookup = server.lookup(firstPatience: .milliseconds(20))
        defer { server.answer(.success([])) }
        let error = #expect(throws: LookupError.self) { try lookup.addresses() }
        #expect(error?.description == "no name server has told the address of redis")
    }

    @Test func anAnswerThatThereIsNoSuchHost() throws {
        let lookup = server.lookup()
        server.answer(.success(["10.0.0.1"]))
        _ = try lookup.addresses()
        server.answer(.failure(Self.refusal))
        #expect(throws: LookupError.self) { try lookup.addresses() }
    }

    @Test func nameServersThatAreAway() throws {
        let lookup = server.lookup()
        server.answer(.success(["10.0.0.1"]))
        _ = try lookup.addresses()
        server.answer(.failure(.noAnswer("redis")))
        #expect(try lookup.addresses() == ["10.0.0.1"])
    }

    @Test(arguments: [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
    func systemOnNumbers(_ name: String, _ address: String) throws {
        #expect(try HostLookup.ask(name) == [address])
    }

    @Test func systemOnNames() throws {
        #expect(try HostLookup.ask("localhost") == ["127.0.0.1"])
    }
}
