import CProcess
import Glibc
public import Logging
public import ServiceLifecycle
public import UnixSignals

/// The version of both programs.
public enum Version {
    /// What `--version` prints.
    public static let current = "0.1.0"
}

extension [UnixSignal] {
    /// The signals on which a program shuts down gracefully, if it does not reread files at SIGHUP.
    ///
    /// A terminal sends SIGHUP when it is closed. `nohup` makes programs ignore it, and that is respected.
    public static var stop: Self {
        var action = sigaction()
        sigaction(SIGHUP, nil, &action)
        let handler = action.__sigaction_handler.sa_handler
        let isIgnored = unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        return [.sigterm, .sigint] + (isIgnored ? [] : [.sighup])
    }

    /// The same for a program that rereads files at SIGHUP.
    public static var stopUnlessRereading: Self { [.sigterm, .sigint] }
}

extension ServiceGroupConfiguration {
    /// A program's services, which stop in reverse order.
    ///
    /// Each has the name of its type. By default it would have its description: all its settings, found by reflection, in
    /// 27 million instructions of each start.
    public init(_ services: [any Service], gracefulShutdownSignals: [UnixSignal]) {
        self.init(
            services: services.map { ServiceConfiguration(service: $0, serviceName: "\(type(of: $0))") },
            gracefulShutdownSignals: gracefulShutdownSignals,
            logger: .quiet
        )
    }
}

extension Logger {
    /// For libraries whose log lines would only repeat ours.
    public static var quiet: Logger { Logger(label: "library") { _ in SwiftLogNoOpLogHandler() } }
}

/// Returns unused memory to the system every few seconds.
///
/// glibc keeps for each thread the most that it ever needed. After a burst of calls that is most of the process's memory,
/// and looks like a leak.
public struct MemoryTrim: Service {
    private static let interval = Duration.seconds(10)

    public init() {}

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.interval)
                malloc_trim(0)
            }
        }
    }
}
