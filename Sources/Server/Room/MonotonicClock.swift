/// The clock that never steps. Its times are durations, which unlike the instants of `ContinuousClock` have a layout
/// that the compiler knows: a collection of instants copies each by its type's witnesses.
enum MonotonicClock {
    private static let origin = ContinuousClock.now

    /// The time since the program first asked.
    static var now: Duration { ContinuousClock.now - origin }
}
