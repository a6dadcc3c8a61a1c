internal import CProcess
import Glibc

/// The module's system calls.
enum Platform {
    /// The value of an environment variable; `nil` if it is unset.
    ///
    /// Safe on any thread, because nothing calls `setenv` once there are threads.
    static func environmentVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Writes as many bytes as the descriptor accepts, at least one, and waits for that if necessary.
    ///
    /// - Returns: How many; `nil` if the descriptor accepts no more bytes.
    static func writePart(of bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Int? {
        while true {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { return count }
            guard count < 0, errno == EINTR || errno == EAGAIN else { return nil }
            // Another process that shares the descriptor may have made it non-blocking.
            if errno == EAGAIN { _ = isWritable(descriptor, within: -1) }
        }
    }

    /// Writes a short text, or gives up after half a second.
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

// What a program does at its start.
extension Platform {
    /// The arguments of the process, without the program's name.
    ///
    /// `CommandLine.arguments` looks for them next to the environment. It finds none after a preloaded library has moved
    /// the environment with `setenv` (swiftlang/swift#76080).
    /// - Throws: If they cannot be found. A program must not ignore its flags.
    static func commandLine() throws(StartError) -> [String] {
        var arguments = (0..<cprocess_argument_count()).compactMap { index in
            cprocess_argument(index).map { String(cString: $0) }
        }
        if arguments.isEmpty { arguments = CommandLine.arguments }
        guard !arguments.isEmpty else { throw StartError(.unavailable, "The command line cannot be read.") }
        return Array(arguments.dropFirst())
    }

    /// Raises the limit of file descriptors as far as the system allows.
    ///
    /// The soft limit is often 1,024, for programs that use `select`. Nothing here does.
    /// - Throws: If the limit is still too low. Event loops abort the process when they get no descriptor.
    static func raiseDescriptorLimit() throws(StartError) {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0 else { return }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(kind, &raised) == 0 { limit = raised }
        }
        // Each event loop needs a few, and there is at least one per processor.
        let needed = max(48, 16 + 6 * sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        guard limit.rlim_cur >= needed else {
            throw StartError(
                .unavailable,
                "The limit of file descriptors is \(limit.rlim_cur), and \(needed) are needed. Raise it with ulimit -n."
            )
        }
    }
}
