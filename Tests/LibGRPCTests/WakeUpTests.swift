import Foundation
import Testing

@testable import LibGRPC

/// How often threads wake up. In processes of their own, because other tests wake the same threads.
@Suite(.timeLimit(.minutes(5)))
struct WakeUpTests {
    private static let echo = ServerMethod.bidirectional(Echo.chat) { requests, writer, _ in
        for try await request in requests { try await writer.write(request) }
    }

    /// How often this process's threads of a name have gone to sleep so far. The system knows 15 characters of it.
    private static func sleeps(ofThreads prefix: String) throws -> Int {
        var count = 0
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
            // A thread may end meanwhile.
            guard let status = try? String(contentsOfFile: "/proc/self/task/\(thread)/status", encoding: .utf8) else {
                continue
            }
            let fields = status.split(separator: "\n").map { $0.split(separator: "\t", maxSplits: 1) }
            guard fields.first?.last?.hasPrefix(prefix) == true else { continue }
            let switches = fields.first { $0.first == "voluntary_ctxt_switches:" }?.last
            count += switches.flatMap { Int($0) } ?? 0
        }
        return count
    }

    /// A server with an open stream, on which nothing happens for a second.
    @Test func anIdleServerSleeps() async {
        await #expect(processExitsWith: .success) {
            try await Loopback.run([Self.echo]) { loopback in
                let chat = try loopback.channel.bidirectional(Echo.chat)
                var answers = chat.responses.makeAsyncIterator()
                try await chat.requests.write(ByteBuffer("x"))
                _ = try await answers.next()
                let before = try Self.sleeps(ofThreads: "")
                try await Task.sleep(for: .seconds(1))
                let count = try Self.sleeps(ofThreads: "") - before
                precondition(count < 40, "threads woke \(count) times")
            }
        }
    }

    /// The messages of a stream reach the thread that polls without a detour over a thread of the core, on both sides.
    @Test func receivingWakesNoThreadOfTheCore() async {
        await #expect(processExitsWith: .success) {
            // One thread, so that no other one contends with it in the core, which hands work to its own threads then.
            try await withCompletionQueueGroup(count: 1) { group in
                try await withServer([Self.echo], listeningOn: ["127.0.0.1:0"], group: group) { server in
                    try await Task(executorPreference: group.queues[0]) {
                        let chat = try Channel(target: server.addresses[0], group: group).bidirectional(Echo.chat)
                        var answers = chat.responses.makeAsyncIterator()
                        try await chat.requests.write(ByteBuffer("x"))
                        _ = try await answers.next()
                        let before = try Self.sleeps(ofThreads: "default-executo")
                        for _ in 0..<150 {
                            try await chat.requests.write(ByteBuffer("x"))
                            _ = try await answers.next()
                        }
                        let count = try Self.sleeps(ofThreads: "default-executo") - before
                        precondition(count < 15, "a thread of the core woke \(count) times")
                    }.value
                }
            }
        }
    }
}
