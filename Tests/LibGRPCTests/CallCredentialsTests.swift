import LibGRPC
import Synchronization
import Testing

/// Credentials that are made for each call.
@Suite(.timeLimit(.minutes(5)))
struct CallCredentialsTests {
    /// Answers with the credentials that have arrived.
    private static let who = ServerMethod.unary(Echo.unary) { _, context in
        let values = context.metadata["authorization"].map { if case .string(let text) = $0 { text } else { "" } }
        return ByteBuffer(values.joined(separator: ","))
    }

    private static func token(_ text: String, allowsInsecure: Bool = false) -> CallCredentials {
        CallCredentials(allowsInsecure: allowsInsecure) { _ in
            await Task.yield()
            return ["authorization": .string(text)]
        }
    }

    /// The server's answer to a call on an encrypted channel.
    private func call(_ channel: CallCredentials?, _ options: CallOptions = CallOptions()) async throws -> String {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.who], group: group)
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(try TLSTests.identity("server")))
        let port = try await server.start(listeningOn: [address])[0]
        let answer: Result<ByteBuffer, any Error>
        do {
            let tls = ChannelCredentials.tls(trusting: TLSTests.authority)
            let credentials = channel.map { ChannelCredentials.composite(tls, $0) } ?? tls
            let channel = Channel(target: "localhost:\(port)", credentials: credentials, group: group)
            answer = .success(try await channel.unary(Echo.unary, ByteBuffer(""), options: options))
        } catch {
            answer = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        return try answer.get().text
    }

    @Test func ofACallOfAChannelAndOfBoth() async throws {
        #expect(try await call(nil) == "")
        #expect(try await call(nil, CallOptions(credentials: Self.token("call"))) == "call")
        #expect(try await call(Self.token("channel")) == "channel")
        let both = try await call(Self.token("channel"), CallOptions(credentials: Self.token("call")))
        #expect(Set(both.split(separator: ",")) == ["channel", "call"])
    }

    @Test func theyAreMadeForEachCallAndSeeIt() async throws {
        let requests = Mutex<[CallCredentials.Request]>([])
        let credentials = CallCredentials { request in
            requests.withLock { $0.append(request) }
            return ["authorization": "x"]
        }
        for _ in 0..<2 { _ = try await call(credentials) }
        let seen = requests.withLock(\.self)
        #expect(seen.map(\.method) == ["Unary", "Unary"])
        for request in seen {
            #expect(request.serviceURL.hasPrefix("https://localhost"))
            #expect(request.serviceURL.hasSuffix("/test.Echo"))
        }
    }

    private struct Refused: Error {}

    @Test func failuresEndTheCall() async throws {
        let throwing = CallCredentials { _ in throw Refused() }
        let invalid = CallCredentials { _ in ["Not Allowed": "x"] }
        for credentials in [throwing, invalid] {
            let error = await #expect(throws: RPCError.self) { try await call(credentials) }
            #expect(error?.code == .unavailable)
        }
        let error = await #expect(throws: RPCError.self) { try await call(throwing) }
        #expect(error?.message.contains("Refused") == true)
    }

    @Test func theDeadlineRunsMeanwhile() async throws {
        let endless = CallCredentials { _ in
            try await Task.sleep(for: .seconds(240))
            return [:]
        }
        let error = await #expect(throws: RPCError.self) {
            try await call(endless, CallOptions(timeout: .milliseconds(50)))
        }
        #expect(error?.code == .deadlineExceeded)
    }

    /// The closure answers when the call has its status, and its channel and their group are gone.
    @Test(arguments: [true, false]) func anAnswerAfterTheEndOfTheCall(isDeadline: Bool) async throws {
        final class Captured: Sendable {
            let (asked, release) = (Signal(), Signal())
        }
        weak var captured: Captured?
        do {
            let object = Captured()
            captured = object
            let late = CallCredentials { _ in
                await object.asked.set()
                await object.release.wait()
                return ["authorization": "late"]
            }
            let options = CallOptions(timeout: isDeadline ? .milliseconds(200) : nil)
            let calling = Task { try await call(late, options) }
            if !isDeadline {
                await object.asked.wait()
                calling.cancel()
            }
            let error = await #expect(throws: RPCError.self) { try await calling.value }
            #expect(error?.code == (isDeadline ? .deadlineExceeded : .cancelled))
            await object.release.set()
        }
        // The core has taken the answer and let the credentials go.
        while captured != nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try await call(Self.token("next")) == "next")
    }

    @Test func theyAreNotSentWithoutEncryption() async throws {
        try await Loopback.run([Self.who]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                let options = CallOptions(credentials: Self.token("secret"))
                return try await loopback.channel.unary(Echo.unary, ByteBuffer(""), options: options)
            }
            #expect(error?.code == .unauthenticated)
            let options = CallOptions(credentials: Self.token("public", allowsInsecure: true))
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer(""), options: options)
            #expect(response.text == "public")
        }
    }

    @Test func theClosureIsReleased() async throws {
        final class Captured: Sendable {}
        weak var captured: Captured?
        do {
            let object = Captured()
            captured = object
            let credentials = CallCredentials { _ in
                withExtendedLifetime(object) { ["authorization": "x"] }
            }
            #expect(try await call(credentials) == "x")
        }
        while captured != nil { try await Task.sleep(for: .milliseconds(5)) }
    }
}
