import Glibc

/// The CPU time that `body` needs on this thread. Other threads and processes do not change it.
public func cpuTime(_ body: () throws -> Void) rethrows -> Duration {
    let start = threadTime()
    try body()
    return threadTime() - start
}

private func threadTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

/// Text that is normalised in quadratic time: combining marks that are not in canonical order.
public enum CombiningMarks {
    /// A text of about `bytes` bytes.
    public static func text(bytes: Int) -> String {
        "a" + String(repeating: "\u{345}\u{301}\u{316}\u{334}", count: bytes / 8)
    }
}
