internal import CGRPC
internal import CGRPCTuning

/// gRPC's core library.
///
/// Initialised once and never shut down. `grpc_shutdown` waits for the core's own threads, one of which polls for up to
/// ten seconds where a peer has left in its socket what it was sent; and it would have to be called by whoever drops
/// the last reference to a handle, on whatever thread. What stays of the core without handles is a few idle threads.
enum Library {
    /// Before any other call of the core's. Thread-safe.
    static func initialize() { _ = initialized }

    private static let initialized: Void = {
        CoreEnvironment.clean()
        cgrpc_disable_deadlock_detection()
        grpc_init()
    }()

    /// The version of gRPC's core, which is not the version of the gRPC release that it came with.
    static var coreVersion: String { String(cString: grpc_version_string()) }
}
