#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The few system calls that the module makes, in one place.
enum Platform {
    /// The wall clock, in nanoseconds since the Unix epoch.
    static func wallClock() -> Int64 {
        var time = timespec()
        // Fails only for a clock that does not exist, and every system has this one.
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The value of an environment variable; `nil` when it is not set.
    ///
    /// Safe to call from several threads as long as nothing calls `setenv`, which neither program does.
    static func environmentVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Writes to standard error, in one piece where the system can.
    ///
    /// What cannot be written is lost: there is no other place to say so.
    static func writeToStandardError(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = write(STDERR_FILENO, rest.baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// Ends the process.
    static func terminate(exitCode: Int32) -> Never {
        exit(exitCode)
    }
}
