internal import CProcess
import Glibc

// What a program does before anything else.

extension Platform {
    /// The arguments of the process, without the program's name.
    ///
    /// `CommandLine.arguments` looks for them next to the environment. It finds none when a preloaded library has moved
    /// the environment by calling `setenv` (swiftlang/swift#76080).
    /// - Throws: If they cannot be found: a program that ignored its flags would do something else than it was told.
    static func commandLine() throws(StartError) -> [String] {
        var arguments = (0..<cprocess_argument_count()).compactMap { index in
            cprocess_argument(index).map { String(cString: $0) }
        }
        if arguments.isEmpty { arguments = CommandLine.arguments }
        guard !arguments.isEmpty else { throw StartError(.unavailable, "The command line cannot be read.") }
        return Array(arguments.dropFirst())
    }

    /// Lets the process have as many file descriptors as the system allows it.
    ///
    /// The soft limit is often 1,024, for programs that use `select`; nothing here does.
    /// - Throws: If they are too few: event loops abort the process when they get none.
    static func raiseDescriptorLimit() throws(StartError) {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0 else { return }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(kind, &raised) == 0 { limit = raised }
        }
        // An event loop has a few, and there is one for each processor, or more.
        let needed = max(48, 16 + 6 * sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        guard limit.rlim_cur >= needed else {
            throw StartError(
                .unavailable,
                "The limit of file descriptors is \(limit.rlim_cur), and \(needed) are needed. Raise it with ulimit -n."
            )
        }
    }
}
