import CGRPC
import Synchronization
import Testing

@testable import GRPC

@Suite(.timeLimit(.minutes(1)))
struct LateEventsTests {
    /// What events may do to it on one thread only.
    ///
    /// `@unchecked`: that this holds is what is tested; `count` is read when all is over.
    private final class Target: EventTarget, @unchecked Sendable {
        var count = 0
        let inside = Atomic<Int>(0)
        let overlaps = Atomic<Int>(0)

        override func operationCompleted(_: UInt32, succeeded: Bool) {
            if inside.add(1, ordering: .relaxed).newValue > 1 { overlaps.add(1, ordering: .relaxed) }
            count += 1
            inside.subtract(1, ordering: .relaxed)
        }
    }

    /// It cannot be captured itself.
    private final class Shared: Sendable {
        let late = LateEvents()
    }

    @Test func oneAtATimeOnceTheThreadHasEnded() async {
        let target = Target()
        let shared = Shared()
        let tags = (0..<4000).map { _ -> GRPC.Tag in
            let tag = GRPC.Tag(initializing: .allocate(capacity: 1), operation: 0)
            tag.retain(target)
            return tag
        }
        for tag in tags[..<100] { shared.late.deliver(CompletionQueue.Event(tag: tag, succeeded: true)) }
        #expect(target.count == 0, "the thread may deliver still")
        await withTaskGroup { group in
            group.addTask { shared.late.threadHasEnded() }
            for part in 0..<4 {
                group.addTask {
                    for index in stride(from: 100 + part, to: tags.count, by: 4) {
                        shared.late.deliver(CompletionQueue.Event(tag: tags[index], succeeded: true))
                    }
                }
            }
        }
        #expect(target.count == tags.count)
        #expect(target.overlaps.load(ordering: .relaxed) == 0)
        for tag in tags { tag.pointer.deallocate() }
    }
}
