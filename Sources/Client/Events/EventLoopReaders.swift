import NIOCore
import Synchronization

/// The readers of events whose connections are on one event loop. They are woken together.
final class EventLoopReaders: Sendable {
    private struct State {
        var readers: [ObjectIdentifier: EventReader] = [:]
        var ping: RepeatedTask?
    }

    private let eventLoop: any EventLoop
    private let pingInterval: TimeAmount
    private let state: NIOLoopBoundBox<State>
    private let isWaking = Atomic(false)

    /// Called on the event loop.
    init(_ eventLoop: any EventLoop, pingInterval: Duration) {
        self.eventLoop = eventLoop
        self.pingInterval = TimeAmount(pingInterval)
        state = NIOLoopBoundBox(State(), eventLoop: eventLoop)
    }

    /// Called on the event loop.
    func add(_ reader: EventReader) {
        state.value.readers[ObjectIdentifier(reader)] = reader
        guard state.value.ping == nil else { return }
        state.value.ping = eventLoop.scheduleRepeatedTask(initialDelay: pingInterval, delay: pingInterval) { _ in
            for reader in self.state.value.readers.values { reader.ping() }
        }
    }

    /// Called on the event loop.
    func remove(_ reader: EventReader) {
        state.value.readers[ObjectIdentifier(reader)] = nil
        guard state.value.readers.isEmpty else { return }
        state.value.ping.take()?.cancel()
    }

    /// Lets all readers look for new events. Called on any thread.
    func wake() {
        guard !isWaking.exchange(true, ordering: .acquiringAndReleasing) else { return }
        eventLoop.execute {
            self.isWaking.store(false, ordering: .sequentiallyConsistent)
            for reader in self.state.value.readers.values { reader.wake() }
        }
    }
}
