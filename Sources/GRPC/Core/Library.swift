internal import CGRPC
internal import CGRPCTuning

/// Keeps gRPC's core library initialised for as long as one of these lives. Whatever owns a C handle owns one.
final class Library: Sendable {
    init() {
        cgrpc_disable_deadlock_detection()
        grpc_init()
    }

    deinit {
        grpc_shutdown()
    }

    /// The version of gRPC's core, which is not the version of the gRPC release that it came with.
    static var coreVersion: String { String(cString: grpc_version_string()) }
}
