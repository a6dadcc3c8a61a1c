import Glibc

/// Runs the body for one input, which must take less than a quarter of a second of the processor. An input of 64 KiB takes
/// some milliseconds, unless its time grows faster than its length. How busy the machine is changes nothing.
func limited(_ body: () -> Void) -> CInt {
    let began = processorTime()
    body()
    let time = processorTime() - began
    expect(time < .milliseconds(250), "an input that takes \(time) of the processor")
    return 0
}

private func processorTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
