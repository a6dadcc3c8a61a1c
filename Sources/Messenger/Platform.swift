import Glibc

/// The few system calls that the module makes, in one place.
enum Platform {
    /// The wall clock, in nanoseconds since the Unix epoch.
    static func wallClock() -> Int64 {
        var time = timespec()
        // Fails only for a clock that does not exist, and every system has this one.
        clock_gettime(CLOCK_REALTIME, &time)
        return nanoseconds(Int64(time.tv_sec), Int64(time.tv_nsec))
    }

    /// A clock that is centuries off stands still at the first or last time that may be its own.
    static func nanoseconds(_ seconds: Int64, _ rest: Int64) -> Int64 {
        let last = SendTime.lastOfClock.nanosecondsSinceEpoch
        guard seconds < last / 1_000_000_000 else { return last }
        return seconds > -last / 1_000_000_000 ? seconds * 1_000_000_000 + rest : -last
    }

    /// The value of an environment variable; `nil` when it is not set.
    ///
    /// Safe to call from several threads as long as nothing calls `setenv`, which neither program does once it has
    /// threads.
    static func environmentVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Writes what the descriptor takes, at least one byte, and waits until it takes any. Returns how many, or `nil` when
    /// it takes none any more.
    static func writePart(of bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Int? {
        while true {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { return count }
            guard count < 0, errno == EINTR || errno == EAGAIN else { return nil }
            // Another process that shares the descriptor may have made it non-blocking.
            if errno == EAGAIN { _ = isWritable(descriptor, within: -1) }
        }
    }

    /// Writes a short text, if there is room for it within half a second.
    static func writeIfPossible(_ text: String, to descriptor: Int32) {
        if isWritable(descriptor, within: 500) { _ = writePart(of: Array(text.utf8)[...], to: descriptor) }
    }

    private static func isWritable(_ descriptor: Int32, within milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&descriptor, 1, milliseconds) > 0
    }

    static let standardError = STDERR_FILENO

    /// Ends the process.
    static func terminate(exitCode: Int32) -> Never {
        exit(exitCode)
    }
}
