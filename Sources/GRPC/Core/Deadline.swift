internal import CGRPC

/// Deadlines in the core's form.
enum Deadline {
    /// The moment when `timeout` will have passed; never for `nil`.
    static func after(_ timeout: Duration?) -> gpr_timespec {
        guard let timeout else { return gpr_inf_future(GPR_CLOCK_MONOTONIC) }
        // The core takes no negative span, and would round one of zero up.
        guard timeout > .zero else { return gpr_inf_past(GPR_CLOCK_MONOTONIC) }
        let (seconds, attoseconds) = timeout.components
        let span = gpr_timespec(
            tv_sec: seconds,
            tv_nsec: Int32(truncatingIfNeeded: attoseconds / 1_000_000_000),
            clock_type: GPR_TIMESPAN
        )
        return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span)
    }

    /// The time until a deadline, negative when it has passed; `nil` for never.
    static func remaining(_ deadline: gpr_timespec) -> Duration? {
        guard gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0 else { return nil }
        let left = gpr_time_sub(deadline, gpr_now(deadline.clock_type))
        return .seconds(left.tv_sec) + .nanoseconds(Int64(left.tv_nsec))
    }
}
