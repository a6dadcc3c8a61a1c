import Glibc

/// Fails the run, which makes the fuzzer report its input.
func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}

/// Copies the fuzzer's input.
func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    Array(UnsafeBufferPointer(start: start, count: count))
}

/// Runs a check of one input, and limits its CPU time.
///
/// An input of 64 KiB needs some milliseconds, unless the time grows faster than the input.
func withTimeLimit(_ check: () -> Void) -> CInt {
    let start = cpuTime()
    check()
    let time = cpuTime() - start
    expect(time < .milliseconds(250), "the input needs \(time) of CPU time")
    return 0
}

private func cpuTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

extension Optional {
    /// The result of `body`; `nil` if it throws.
    init(trying body: () throws -> Wrapped) {
        do { self = try body() } catch { self = nil }
    }
}
